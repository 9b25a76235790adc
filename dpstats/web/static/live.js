"use strict";
// What makes pages livelier. Every page is whole without it.
