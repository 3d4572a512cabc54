-- Everything of ours lives here, out of the way of the names in the app's own `public`. The Data API does not expose
-- this schema: it reaches the functions with the prefix instagram_connect_ in `public`, and the views beside them.
create schema if not exists instagram_connect;

comment on schema instagram_connect is
'Instagram Connect: tables and functions of the backend. Not exposed by the Data API.';

-- service_role runs the functions; authenticated reads its own rows through the views in `public`.
grant usage on schema instagram_connect to service_role, authenticated;
