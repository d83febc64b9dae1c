/** Names the field whose text cannot be sent. Asked only once a request could not be encoded. */

import {
  isReflectList,
  isReflectMap,
  isReflectMessage,
  type ReflectMessage,
} from '@bufbuild/protobuf/reflect';

/** The path of the first field with text that is not well-formed; undefined where there is none. */
export function illFormedField(message: ReflectMessage): string | undefined {
  for (const field of message.fields) {
    if (!message.isSet(field)) continue;
    const inside = pathIn(message.get(field));
    if (inside !== undefined) return field.name + inside;
  }
  return undefined;
}

/** What stands behind the name of a field with this value; empty: the value itself is at fault. */
function pathIn(value: unknown): string | undefined {
  if (typeof value === 'string') return value.isWellFormed() ? undefined : '';
  if (isReflectList(value) || isReflectMap(value)) return pathAmong(value);
  if (!isReflectMessage(value)) return undefined;
  const inside = illFormedField(value);
  // A Struct is one value to whoever wrote it: the fields it is made of say nothing to them.
  return value.desc.file.proto.package === 'google.protobuf'
    ? inside && ''
    : inside && `.${inside}`;
}

function pathAmong(values: Iterable<unknown> & { entries(): Iterable<[unknown, unknown]> }) {
  for (const [key, value] of values.entries()) {
    if (pathIn(key) !== undefined) return '';
    const inside = pathIn(value);
    if (inside !== undefined) return `[${JSON.stringify(key)}]${inside}`;
  }
  return undefined;
}
