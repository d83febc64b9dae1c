-- What makes writes safe to repeat, and what makes tokens safe to accept.

-- Up Migration

-- Not partitioned: an id must be unique over all time, and the partitioning column would have to be
-- in its key.
create table request_log (
  project_id text collate "C" not null,
  principal text collate "C" not null,
  request_id uuid not null,
  method text collate "C" not null,
  request_sha256 bytea not null,
  response bytea,
  created_at timestamptz not null default now(),
  primary key (project_id, principal, request_id),
  constraint request_log_request_sha256_check check (octet_length(request_sha256) = 32),
  -- An object with every field at its bound fits: 64 KiB of JSON are at most 352 KiB as a Struct.
  constraint request_log_response_check check (octet_length(response) <= 409600)
);

comment on table request_log is 'Answers of writes with a request id, for 24 hours';
comment on column request_log.principal is 'Who called';
comment on column request_log.request_id is 'The caller''s UUID, one per intended change';
comment on column request_log.method is 'The RPC';
comment on column request_log.request_sha256 is 'Of the request: another one must not have the id';
comment on column request_log.response is
  'The encoded answer without its token; null only inside the transaction that makes it';
comment on column request_log.created_at is 'When the transaction began';

create index request_log_created_at on request_log (created_at);

grant select, insert, delete on request_log to stowage_service;
grant update (response) on request_log to stowage_service;
grant select on request_log to stowage_readonly;

create table token_keys (
  key_id smallint primary key,
  secret bytea not null,
  created_at timestamptz not null default now(),
  constraint token_keys_secret_check check (octet_length(secret) = 32)
);

comment on table token_keys is 'Keys that sign tokens; the highest signs, all verify';
comment on column token_keys.secret is '32 random bytes; in backups too, like all else here';

-- Four random UUIDs have 488 random bits from the generator that pgcrypto would use too; hashed, so
-- that the fixed bits of a UUID do not show. The extension would be one more thing to install.
insert into token_keys (key_id, secret)
values (1, sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
                  || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())));

grant select on token_keys to stowage_service;

-- Down Migration

drop table token_keys;
drop table request_log;
