/** Answers of handlers as the doors need them: as bytes or as messages. */

import { create, type DescMessage, fromBinary, type Message, toBinary } from '@bufbuild/protobuf';
import { EncodedMessage } from '../services/handler.js';
import type { AnyAnswer } from './pipeline.js';

/** An answer as protobuf bytes; one that is encoded already is not touched. */
export function encodeAnswer(descriptor: DescMessage, answer: AnyAnswer): Uint8Array {
  return answer instanceof EncodedMessage
    ? answer.bytes
    : toBinary(descriptor, create(descriptor, answer));
}

/** An answer as a message, for codecs that are not protobuf bytes. */
export function decodeAnswer(descriptor: DescMessage, answer: AnyAnswer): Message {
  return answer instanceof EncodedMessage
    ? fromBinary(descriptor, answer.bytes)
    : create(descriptor, answer);
}
