#include "dataplane/frame.hpp"
