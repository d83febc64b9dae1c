/**
 * Lets protobuf-es read a string as it was written. By default its decoder takes U+FEFF at a
 * string's beginning for a byte order mark and drops it; in protobuf it is a character.
 */

import { configureTextEncoding } from '@bufbuild/protobuf/wire';

/** Makes protobuf-es keep every character of a string, for the whole process. */
export function keepEveryCharacter(): void {
  const encoder = new TextEncoder();
  const lenient = new TextDecoder('utf-8', { ignoreBOM: true });
  const strict = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true });
  configureTextEncoding({
    encodeUtf8: (text) => encoder.encode(text),
    decodeUtf8: (bytes, isStrict) => (isStrict === true ? strict : lenient).decode(bytes),
    checkUtf8: (text) => Buffer.from(text).toString() === text,
  });
}
