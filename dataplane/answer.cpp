#include "dataplane/answer.hpp"
