def page(seen): return ""
