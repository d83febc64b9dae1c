/** What the first word with a node says: is it there, and will it speak TLS as it is asked to? */

import type { DatabaseLogin } from '../../config.js';
import type { NodeAddress } from '../driver.js';
import type { Contact } from './contact.js';
import { addressOf, type Finding, fail, ok, warn } from './finding.js';

/** Whether only this machine is reached by the name. */
export function isLocal(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('/') || /^127\./.test(host);
}

/** The check `address`. */
export function addressVerdict(
  node: NodeAddress,
  contact: Contact,
  { connectTimeoutMs: timeoutMs }: Pick<DatabaseLogin, 'connectTimeoutMs'>,
): Finding {
  const address = addressOf(node);
  switch (contact.kind) {
    case 'answered':
      return ok('address', `PostgreSQL answers in ${Math.ceil(contact.roundTripMs)} ms`);
    case 'foreign':
      return fail(
        'address',
        `what listens at ${address} does not speak PostgreSQL's protocol`,
        'Name the port of PostgreSQL itself, as the server shows it:',
        "psql -c 'show port'",
      );
    case 'silent':
      return fail(
        'address',
        `${address} accepts the connection and is silent for ${timeoutMs} ms`,
        'The server hangs or is far too busy: look at its log and at what its machine does.',
      );
    case 'timeout':
      return fail(
        'address',
        `${address} does not answer within ${timeoutMs} ms`,
        `The machine is down, or a firewall drops what is sent: let TCP port ${node.port} through.`,
        `nc -vz -w 3 ${node.host} ${node.port}`,
      );
    case 'unreachable':
      return unreachable(node, contact.code);
  }
}

function unreachable(node: NodeAddress, code: string): Finding {
  const address = addressOf(node);
  switch (code) {
    case 'ECONNREFUSED':
      return fail(
        'address',
        `nothing listens at ${address}: the connection is refused`,
        'On that machine see that PostgreSQL runs, that its port is ' +
          `${node.port} and that listen_addresses covers the address.${containerHint(node)}`,
        'systemctl status postgresql',
        "psql -c 'show port' -c 'show listen_addresses'",
      );
    case 'ENOTFOUND':
      return fail(
        'address',
        `this machine knows no address of the host ${node.host}`,
        'Mend the name in the settings; this shows what a name becomes:',
        `getent hosts ${node.host}`,
      );
    case 'EAI_AGAIN':
      return fail(
        'address',
        `no name server answers for the host ${node.host}`,
        'See that this machine reaches its name server, or write an IP address:',
        'cat /etc/resolv.conf',
      );
    case 'ENOENT':
      return fail(
        'address',
        `there is no socket of port ${node.port} in the folder ${node.host}`,
        'See that PostgreSQL runs and where its sockets are:',
        "psql -c 'show unix_socket_directories'",
      );
    default:
      return fail(
        'address',
        `no way leads to ${address} (${code})`,
        'Mend the route from this machine to that one:',
        `ip route get ${node.host}`,
      );
  }
}

function containerHint({ host }: NodeAddress): string {
  return isLocal(host)
    ? ' In a container this address is the container itself: name the host of the database.'
    : '';
}

/** The check `tls`, as far as it can be told before the login; undefined: the login tells. */
export function tlsVerdict(
  node: NodeAddress,
  tls: DatabaseLogin['tls'],
  offersTls: boolean,
): Finding | undefined {
  if (tls === false) {
    if (isLocal(node.host) || !offersTls) return ok('tls', 'plain text, as sslmode=disable says');
    return warn(
      'tls',
      'plain text to another machine, though the server offers TLS',
      'Who is between can read and change what is sent. Ask for TLS, at the end of the URL:',
      '?sslmode=verify-full&sslrootcert=<PEM file of who signed the certificate>',
    );
  }
  if (offersTls) return undefined;
  return fail(
    'tls',
    'the server offers no TLS, and sslmode asks for it',
    'Turn TLS on in the server, with ssl_cert_file and ssl_key_file in place; or write ' +
      'sslmode=disable where nobody is between.',
    'alter system set ssl = on;',
    'select pg_reload_conf();',
  );
}

/** Errors of a certificate that nobody trusted here has signed. */
const untrusted: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/** Whether an error's code is of TLS: OpenSSL's words for a chain it refuses, or Node's own. */
export function isTlsCode(code: string): boolean {
  return /CERT|^ERR_(?:TLS|SSL)_|^UNABLE_TO_|^INVALID_(?:CA|PURPOSE)$/.test(code);
}

/** The check `tls` where the TLS handshake failed with this code. */
export function certificateVerdict(node: NodeAddress, code: string): Finding {
  const show = `openssl s_client -starttls postgres -connect ${addressOf(node)} </dev/null`;
  if (untrusted.has(code)) {
    return fail(
      'tls',
      `nobody who is trusted here has signed the server's certificate (${code})`,
      'Name the certificate of who signed it, as sslrootcert=<PEM file> in the URL. This shows ' +
        'what the server sends:',
      show.replace('</dev/null', '-showcerts </dev/null'),
    );
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return fail(
      'tls',
      `the server's certificate is made out to other names than ${node.host}`,
      'Write a name of the certificate as the host, or have one made out to this host. This ' +
        'shows the names:',
      `${show} | openssl x509 -noout -ext subjectAltName`,
    );
  }
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID') {
    return fail(
      'tls',
      `the server's certificate is not valid today (${code})`,
      'Renew it, or set the clock of this machine right. This shows the dates:',
      `${show} | openssl x509 -noout -dates`,
    );
  }
  return fail(
    'tls',
    `the TLS handshake failed (${code})`,
    'See with another program what the server sends:',
    show,
  );
}
