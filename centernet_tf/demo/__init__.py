"""A web page of this machine that shows what models find: `centernet demo`."""
