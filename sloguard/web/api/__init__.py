"""The JSON API, one file a resource; ``web.resources`` lists them."""
