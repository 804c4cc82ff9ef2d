#include "dataplane/parse.hpp"
