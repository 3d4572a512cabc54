"""Meta's side of a connection: `graph` makes the calls, `graph_errors` reads the answers, and each login product is
one module with one class (`facebook_login`)."""
