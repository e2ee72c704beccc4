"""Who gets in, and how: exposure, proxies, credentials, browsers, limits, headers, the audit log.

What pages need of it: ``csrf_field()`` inside every form and ``csrf_token()`` for scripts (header
``X-CSRF-Token``) are known to all templates, and so is ``signed_in()``, the Identity of whoever looks.
The check itself is made for every request before its view.
"""
