"""The harness of the pytest suites: a private PostgreSQL, httpd and udm-worker, and a client.

Start at env.Environment (one a session) and site.Site (one a test module). Nothing here uses a
fixed port or a path outside a temporary directory, so that two sessions work beside each other.
"""
