/** TLS before a server that speaks plain HTTP/2, as a proxy in front of the service has it. */
import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { createServer } from 'node:tls';

/** Of the tests alone: anybody may have this key. */
const key = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg3bXUGyd59UH5kj2c
ZV93m5Ke8qRWbfnOOecH25LgK0yhRANCAAQzfYPay8pKwzj3LO0ciSTht3R8RTDl
syhbrsrBx7s9bafaVgE2q2ae3vwVE5lhd/AvVzC5QZTeL5KBx2Tp+mKo
-----END PRIVATE KEY-----
`;

/** For `stowage.test` and 127.0.0.1, signed by itself, until 2120. */
export const certificate = `-----BEGIN CERTIFICATE-----
MIIBcDCCARagAwIBAgIBATAKBggqhkjOPQQDAjAXMRUwEwYDVQQDDAxzdG93YWdl
LnRlc3QwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBcxFTATBgNV
BAMMDHN0b3dhZ2UudGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABDN9g9rL
ykrDOPcs7RyJJOG3dHxFMOWzKFuuysHHuz1tp9pWATarZp7e/BUTmWF38C9XMLlB
lN4vkoHHZOn6YqijUTBPMB0GA1UdEQQWMBSCDHN0b3dhZ2UudGVzdIcEfwAAATAP
BgNVHRMBAf8EBTADAQH/MB0GA1UdDgQWBBQc29eqyZvtmNGSNmnDrHn54k95IzAK
BggqhkjOPQQDAgNIADBFAiEA98Qwv+fyXjNDJtSEGtNRvwlV/8Z06d+diXIeCE49
4KYCIBm0ni2tonyNIMbdy7Hx87zzKqHra4sL8behBhD/poVr
-----END CERTIFICATE-----
`;

/** A running proxy. */
export interface TlsProxy extends AsyncDisposable {
  /** `127.0.0.1:port`. */
  readonly address: string;
}

/** Opens a proxy to `target`, a URL. */
export async function openTlsProxy(target: string): Promise<TlsProxy> {
  const { hostname, port } = new URL(target);
  const server = createServer({ key, cert: certificate, ALPNProtocols: ['h2'] }, (caller) => {
    const line = connect(Number(port), hostname);
    caller.pipe(line).pipe(caller);
    caller.on('error', () => line.destroy());
    line.on('error', () => caller.destroy());
  });
  // A caller that does not trust it goes away in the midst of the handshake.
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.close();
    },
  };
}
