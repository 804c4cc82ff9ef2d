#include "dataplane/refuse.hpp"
