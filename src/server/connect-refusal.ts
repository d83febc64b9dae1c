/** Errors that no handler of Connect's writes, in the form that the caller's protocol reads. */

import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import type { ConnectError } from '@connectrpc/connect';
import { encodeEnvelope } from '@connectrpc/connect/protocol';
import {
  codeToHttpStatus,
  createEndStreamSerialization,
  endStreamFlag,
  errorToJsonBytes,
} from '@connectrpc/connect/protocol-connect';
import { setTrailerStatus } from '@connectrpc/connect/protocol-grpc';

const endStream = createEndStreamSerialization(undefined);

/**
 * Writes an error and ends the response. `httpStatus` stands for what HTTP itself has a word for,
 * and is then used whatever the protocol.
 */
export function writeError(
  request: IncomingMessage | Http2ServerRequest,
  response: ServerResponse | Http2ServerResponse,
  error: ConnectError,
  httpStatus?: number,
): void {
  const { status, headers, body } = errorResponse(
    request.headers['content-type'] ?? '',
    error,
    httpStatus,
  );
  response.writeHead(status, headers);
  response.end(body);
}

interface ErrorResponse {
  readonly status: number;
  readonly headers: OutgoingHttpHeaders;
  readonly body: Uint8Array;
}

function errorResponse(
  contentType: string,
  error: ConnectError,
  httpStatus: number | undefined,
): ErrorResponse {
  if (httpStatus === undefined || httpStatus === 404) {
    if (/^application\/grpc(?:-web)?(?:[+;]|$)/i.test(contentType)) {
      const trailers = setTrailerStatus(new Headers({ 'content-type': contentType }), error);
      return { status: 200, headers: Object.fromEntries(trailers), body: new Uint8Array() };
    }
    if (/^application\/connect\+/i.test(contentType)) {
      const data = endStream.serialize({ metadata: new Headers(), error });
      return {
        status: 200,
        headers: { 'content-type': contentType },
        body: encodeEnvelope(endStreamFlag, data),
      };
    }
  }
  return {
    status: httpStatus ?? codeToHttpStatus(error.code),
    headers: { 'content-type': 'application/json' },
    body: errorToJsonBytes(error, undefined),
  };
}
