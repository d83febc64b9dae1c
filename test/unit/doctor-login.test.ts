import pg from 'pg';
import { describe, expect, it } from 'vitest';
import type { DatabaseLogin } from '../../src/config.js';
import { connectionsVerdict } from '../../src/postgres/diagnosis/connections-verdict.js';
import { addressVerdict, tlsVerdict } from '../../src/postgres/diagnosis/contact-verdict.js';
import { loginVerdict } from '../../src/postgres/diagnosis/login-verdict.js';

const login: DatabaseLogin = {
  nodes: [{ host: 'db1', port: 5432 }],
  database: 'stowage',
  user: 'stowage',
  password: 'hunter2',
  tls: false,
  connectTimeoutMs: 3000,
};
const node = { host: 'db1', port: 5432 };

describe('the checks before the login', () => {
  it.each([
    ['ECONNREFUSED', /nothing listens at db1:5432/],
    ['ENOTFOUND', /knows no address of the host db1/],
    ['EAI_AGAIN', /no name server answers/],
    ['ENOENT', /no socket of port 5432/],
    ['EHOSTUNREACH', /no way leads to db1:5432 \(EHOSTUNREACH\)/],
  ])('tell why a node is not reached: %s', (code, seen) => {
    const finding = addressVerdict(node, { kind: 'unreachable', code }, login);
    expect(finding).toMatchObject({ verdict: 'fail', seen: expect.stringMatching(seen) });
    // Only for an address of this machine a container is a likely cause.
    expect(finding.remedy?.say).not.toContain('container');
  });

  it('tell a firewall from a server that hangs', () => {
    const timeout = addressVerdict(node, { kind: 'timeout' }, login);
    expect(timeout).toMatchObject({
      seen: 'db1:5432 does not answer within 3000 ms',
      remedy: { run: ['nc -vz -w 3 db1 5432'] },
    });
    expect(addressVerdict(node, { kind: 'silent' }, login).seen).toContain('is silent for 3000 ms');
  });

  it('warn of plain text only where it could be otherwise', () => {
    expect(tlsVerdict(node, false, true)?.verdict).toBe('warn');
    expect(tlsVerdict(node, false, false)?.verdict).toBe('ok');
    expect(tlsVerdict({ host: '127.0.0.1', port: 1 }, false, true)?.verdict).toBe('ok');
    const required = { ca: undefined, rejectUnauthorized: false };
    expect(tlsVerdict(node, required, false)?.verdict).toBe('fail');
    expect(tlsVerdict(node, required, true)).toBeUndefined();
  });
});

describe('a login that failed', () => {
  const attempt = {
    purpose: 'service',
    node,
    login,
    passwordSource: undefined,
    offersTls: false,
    localAddress: undefined,
    admin: undefined,
  } as const;

  it.each([
    ['timeout expired', /not done within 3000 ms/],
    ['Connection terminated unexpectedly', /ended during the login \(Connection terminated/],
    ['SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a non-empty string', /none is set/],
  ])('is told by the driver’s sentence: %s', (message, seen) => {
    expect(loginVerdict(new Error(message), attempt).seen).toMatch(seen);
  });

  it.each([
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', /nobody who is trusted/, /-showcerts <\/dev\/null$/],
    ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', /nobody who is trusted/, /-showcerts <\/dev\/null$/],
    ['ERR_TLS_CERT_ALTNAME_INVALID', /other names than db1/, /subjectAltName$/],
    ['CERT_HAS_EXPIRED', /not valid today/, /-dates$/],
    ['INVALID_CA', /handshake failed \(INVALID_CA\)/, /db1:5432 <\/dev\/null$/],
    ['ERR_SSL_WRONG_VERSION_NUMBER', /handshake failed \(ERR_SSL/, /db1:5432 <\/dev\/null$/],
  ])('is told by what is wrong with the certificate: %s', (code, seen, run) => {
    const error = Object.assign(new Error('refused'), { code });
    expect(loginVerdict(error, { ...attempt, offersTls: true })).toMatchObject({
      check: 'tls',
      seen: expect.stringMatching(seen),
      remedy: { run: [expect.stringMatching(run)] },
    });
  });

  it.each([
    ['08P01', /a pooler answers, and refuses: no such/, ['?pooler=transaction']],
    ['42501', /may not connect/, ['grant connect on database stowage to stowage;']],
    ['57P03', /starting, stopping or recovering/, []],
    ['XX000', /the server refuses: no such \(XX000\)/, []],
  ])('is told by the SQLSTATE %s', (code, seen, run) => {
    const error = Object.assign(new pg.DatabaseError('no such', 7, 'error'), { code });
    expect(loginVerdict(error, attempt)).toMatchObject({
      check: 'login',
      seen: expect.stringMatching(seen),
      remedy: { run },
    });
  });

  it('names the migrator’s own setting, and escapes a password file’s line', () => {
    const six = { ...attempt, purpose: 'migrator', node: { host: '::1', port: 1 } } as const;
    const finding = loginVerdict(new Error('client password must be a string'), six);
    expect(finding.remedy?.say).toMatch(/^Put it into STOWAGE_ADMIN_URL, or/);
    expect(finding.remedy?.run).toEqual(['\\:\\:1:1:stowage:stowage:...']);
  });

  it.each([
    ['InitProcess', /server has no free/, /pg_stat_activity/],
    ['InitializeSessionUserId', /the role stowage has all/, /alter role stowage connection limit/],
    ['CheckMyDatabase', /the database stowage has all/, /alter database stowage connection limit/],
  ])('tells who had too many connections: %s', (routine, seen, run) => {
    const finding = connectionsVerdict(routine, login);
    expect(finding.seen).toMatch(seen);
    expect(finding.remedy?.run[0]).toMatch(run);
  });
});
