"""Networks written out in torch, one family a module; imported only where torch is installed."""
