// The rooms of src and who may import whom: the arrow, the libraries that belong to one room, the
// environment, and files that nothing reaches.
import { posix } from 'node:path';
import ts from 'typescript';
import { type FileRule, nodesOf, type SourceText, type Violation, violationAt } from './source.js';

const arrow = [
  'gen',
  'lib',
  'config',
  'errors',
  'wire',
  'postgres',
  'store',
  'feed',
  'jobs',
  'services',
  'server',
  'cli',
  'main',
] as const;

/** For each room, those that it may import besides itself. */
const mayImport: ReadonlyMap<string, readonly string[]> = new Map<string, readonly string[]>([
  ...arrow.map((room, index) => [room, arrow.slice(0, index)] as const),
  ['telemetry', ['gen', 'lib', 'config', 'errors']],
  ['client', ['gen', 'lib', 'errors', 'wire']],
  ['embedded', ['lib']],
  ['server', [...arrow.slice(0, arrow.indexOf('server')), 'telemetry']],
  ['cli', [...arrow.slice(0, arrow.indexOf('cli')), 'client', 'embedded']],
  ['main', [...arrow.slice(0, arrow.indexOf('main')), 'telemetry']],
]);

interface LibraryHome {
  readonly library: RegExp;
  readonly home: RegExp;
  readonly advice: string;
}

const libraryHomes: readonly LibraryHome[] = [
  {
    library: /^pg(?:-[a-z-]+)?(?:\/|$)/,
    home: /^src\/(?:postgres|embedded)\//,
    advice: 'declare a statement and run it through the router of src/postgres',
  },
  {
    library: /^@connectrpc\//,
    home: /^src\/(?:server\/connect[^/]*\.ts$|client\/)/,
    advice: 'a handler knows requests and calls, never a transport; doors are server/connect*.ts',
  },
  {
    library: /^@grpc\/grpc-js(?:\/|$)/,
    home: /^src\/(?:server\/grpc[^/]*\.ts$|client\/)/,
    advice: 'a handler knows requests and calls, never a transport; doors are server/grpc*.ts',
  },
  {
    library: /^zod(?:\/|$)/,
    home: /^src\/config[^/]*\.ts$/,
    advice: 'settings are rows of config.ts; requests are bounded by protovalidate in the protos',
  },
  {
    library: /^pino(?:-pretty)?(?:\/|$)/,
    home: /^src\/telemetry\//,
    advice: 'publish an event on a diagnostics channel; telemetry writes the log line',
  },
  {
    library: /^(?:commander|cli-progress)(?:\/|$)/,
    home: /^src\/(?:cli\/|main\.ts$)/,
    advice: 'the command line is read in src/cli; hand values inward',
  },
];

/**
 * The room of a file below src or gen: its folder, or its name for a file beside the folders, to
 * the first dash (`config-table.ts` is of the room `config`).
 */
function roomOf(path: string): string | undefined {
  if (path.startsWith('gen/')) return 'gen';
  return /^src\/(?:([^/]+)\/|([^/-]+)[^/]*\.ts$)/.exec(path)?.slice(1).find(Boolean);
}

interface Import {
  readonly specifier: string;
  readonly node: ts.Node;
}

/** Static imports, re-exports, dynamic imports and import types. */
function importsOf(file: SourceText): Import[] {
  return nodesOf(file).flatMap((node) => {
    if (!ts.isStringLiteral(node)) return [];
    const { parent } = node;
    const isImport =
      ts.isImportDeclaration(parent) ||
      ts.isExportDeclaration(parent) ||
      (ts.isCallExpression(parent) && parent.expression.kind === ts.SyntaxKind.ImportKeyword) ||
      (ts.isLiteralTypeNode(parent) && ts.isImportTypeNode(parent.parent));
    return isImport ? [{ specifier: node.text, node }] : [];
  });
}

function resolve(from: string, specifier: string): string {
  return posix.join(posix.dirname(from), specifier).replace(/\.js$/, '.ts');
}

/** Imports point to the left of the arrow. */
export const importArrow: FileRule = (file) => {
  const room = roomOf(file.path);
  if (room === undefined || !file.path.startsWith('src/')) return [];
  const allowed = mayImport.get(room);
  if (allowed === undefined) {
    const rooms = [...mayImport.keys()].join(', ');
    const message = `there is no room "${room}"; put the file into one of: ${rooms}`;
    return [{ path: file.path, line: 1, message }];
  }
  return importsOf(file).flatMap(({ specifier, node }) => {
    if (!specifier.startsWith('.')) return [];
    const target = roomOf(resolve(file.path, specifier));
    if (target === room || (target !== undefined && allowed.includes(target))) return [];
    const message =
      `${room} may not import ${target ?? specifier}, only ${allowed.join(', ') || 'nothing'}; ` +
      'move what both need to the left, or hand it in as a function';
    return [violationAt(file, node, message)];
  });
};

/** A library with one home is imported nowhere else in src. */
export const libraryAtHome: FileRule = (file) => {
  if (!file.path.startsWith('src/')) return [];
  return importsOf(file).flatMap(({ specifier, node }) =>
    libraryHomes
      .filter(({ library, home }) => library.test(specifier) && !home.test(file.path))
      .map(({ advice }) => violationAt(file, node, `${specifier} does not belong here: ${advice}`)),
  );
};

/** The environment is read by config.ts alone. */
export const environmentInConfig: FileRule = (file) => {
  if (!file.path.startsWith('src/') || roomOf(file.path) === 'config') return [];
  const message = 'process.env is read in config.ts only: add a row to its table, take the value';
  return nodesOf(file).flatMap((node) => {
    const isAccess =
      ts.isPropertyAccessExpression(node) &&
      node.name.text === 'env' &&
      /^(?:globalThis\.)?process$/.test(node.expression.getText());
    const isImported = ts.isStringLiteral(node) && /^(?:node:)?process$/.test(node.text);
    const isImport = isImported && ts.isImportDeclaration(node.parent);
    return isAccess || isImport ? [violationAt(file, node, message)] : [];
  });
};

/**
 * Every file of src is reached from the command or the client. A string that names a module, as in
 * `new URL('./guardian.js', import.meta.url)`, counts as an import: processes are started so.
 */
export function reachable(files: readonly SourceText[]): Violation[] {
  const sources = new Map(files.map((file) => [file.path, file]));
  const roots = ['src/main.ts', 'src/client/index.ts'];
  if (!sources.has('src/main.ts')) return [];
  const reached = new Set(roots);
  for (const path of reached) {
    const file = sources.get(path);
    for (const node of file === undefined ? [] : nodesOf(file)) {
      if (!ts.isStringLiteral(node) || !node.text.endsWith('.js')) continue;
      const target = resolve(path, node.text);
      if (sources.has(target)) reached.add(target);
    }
  }
  const message = `nothing reaches this file from ${roots.join(' or ')}: import it or delete it`;
  return files
    .filter(({ path }) => /^src\/.*\.ts$/.test(path) && !reached.has(path))
    .map(({ path }) => ({ path, line: 1, message }));
}
