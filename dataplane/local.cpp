#include "dataplane/local.hpp"
