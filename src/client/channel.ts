/** Opens the grpc-js channel: what it is told, and why. */

import { Channel, ChannelCredentials, type ChannelOptions } from '@grpc/grpc-js';
import type { Settings, TlsOptions } from './options.js';

/** A first failure is waited out this long; then 1.6 times longer each, with a fifth of jitter. */
const backoffMsFirst = 100;
const backoffMsMax = 5_000;

/** Four times what the service sends in one message, so that it is never what ends a stream. */
const receiveBytesMax = 16 * 1024 * 1024;

/**
 * What may be on its way in a stream that nobody reads: some messages. HTTP/2's own 64 KiB are less
 * than one of them, so that each would take a round trip: 3 MB/s over 20 ms.
 */
const windowBytes = 1024 * 1024;

/** Opens a channel. It connects at the first call, or when it is asked to. */
export function openChannel(settings: Settings): Channel {
  const { target, tls } = settings;
  const credentials = tls === undefined ? ChannelCredentials.createInsecure() : secured(tls);
  return new Channel(target.name, credentials, {
    'grpc.keepalive_time_ms': settings.keepaliveIntervalMs,
    'grpc.keepalive_timeout_ms': settings.keepaliveTimeoutMs,
    // An idle client is silent: it finds a dead connection with its next call, within the timeout.
    'grpc.keepalive_permit_without_calls': 0,
    'grpc.initial_reconnect_backoff_ms': backoffMsFirst,
    'grpc.max_reconnect_backoff_ms': backoffMsMax,
    // Else a name that moved is looked up again only after 30 s.
    'grpc.dns_min_time_between_resolutions_ms': backoffMsMax,
    'grpc.max_receive_message_length': receiveBytesMax,
    'grpc.max_send_message_length': -1,
    'grpc-node.flow_control_window': windowBytes,
    // Else channels with equal options share connections, and one's end is no end.
    'grpc.use_local_subchannel_pool': 1,
    // Policy belongs to the client: neither TXT records nor `http_proxy` change what it does.
    'grpc.service_config_disable_resolution': 1,
    'grpc.enable_http_proxy': 0,
    'grpc.enable_channelz': 0,
    ...nameOptions(tls),
    ...(target.isList ? { 'grpc.service_config': roundRobin } : {}),
  });
}

const roundRobin = JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] });

function nameOptions(tls: TlsOptions | undefined): ChannelOptions {
  const name = tls?.serverName;
  if (name === undefined) return {};
  return { 'grpc.ssl_target_name_override': name, 'grpc.default_authority': name };
}

function secured({ ca, cert, key }: TlsOptions): ChannelCredentials {
  const bytes = (pem: string | Buffer | undefined) => (pem === undefined ? null : Buffer.from(pem));
  return ChannelCredentials.createSsl(bytes(ca), bytes(key), bytes(cert));
}
