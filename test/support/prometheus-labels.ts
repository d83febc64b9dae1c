/** The labels of a sample in Prometheus' text format, read strictly. */

const pair = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"/;

/** Of what stands between the braces; undefined: there are none. @throws Error where it is wrong */
export function parseLabels(inner: string | undefined): ReadonlyMap<string, string> {
  const labels = new Map<string, string>();
  if (inner === undefined) return labels;
  for (let rest = inner; ; ) {
    const [whole, name, value] = pair.exec(rest) ?? [];
    if (whole === undefined || name === undefined || value === undefined) {
      throw new Error(`no label: ${rest}`);
    }
    if (labels.has(name)) throw new Error(`a label twice: ${inner}`);
    labels.set(name, unescaped(value));
    rest = rest.slice(whole.length);
    if (rest === '') return labels;
    if (!rest.startsWith(',')) throw new Error(`no comma: ${rest}`);
    rest = rest.slice(1);
  }
}

function unescaped(value: string): string {
  return value.replace(/\\(.)/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped));
}
