// What every tidy rule works on: files as path and text, and what a rule reports of them. Reads the
// checkout by walking it, so that an unpacked archive without `.git` is checked as well.
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join, relative, sep } from 'node:path';
import ts from 'typescript';

/** A file of the checkout: its path from the root, with `/`, and its whole text. */
export interface SourceText {
  readonly path: string;
  readonly text: string;
}

/** One place that breaks a rule; `message` says what to do instead. */
export interface Violation {
  readonly path: string;
  /** 1-based. */
  readonly line: number;
  readonly message: string;
}

/** A rule that judges one file by itself. */
export type FileRule = (file: SourceText) => Violation[];

const foldersIgnored = new Set([
  '.cache',
  '.git',
  '.stowage',
  'coverage',
  'dist',
  'gen',
  'node_modules',
  'proto/buf',
  'proto/google',
  'proto/grpc',
]);
const extensionsRead = new Set([
  '.js',
  '.json',
  '.md',
  '.mjs',
  '.proto',
  '.py',
  '.sh',
  '.sql',
  '.ts',
  '.yaml',
  '.yml',
]);
const filesIgnored = new Set(['package-lock.json']);

/** Every file of ours below `root`: no dependencies, nothing generated, nothing vendored. */
export function readCheckout(root: string): SourceText[] {
  const files: SourceText[] = [];
  const folders = [root];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const absolute = join(folder, entry.name);
      const path = relative(root, absolute).split(sep).join('/');
      if (entry.isDirectory() && !foldersIgnored.has(path)) folders.push(absolute);
      const isText = extensionsRead.has(extname(entry.name)) || path === '.ci/run';
      if (entry.isFile() && isText && !filesIgnored.has(path)) {
        files.push({ path, text: readFileSync(absolute, 'utf8') });
      }
    }
  }
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Whether the file holds TypeScript or JavaScript. */
export function isCode(file: SourceText): boolean {
  return /\.(?:ts|js|mjs)$/.test(file.path);
}

const parsed = new WeakMap<SourceText, ts.SourceFile>();

/** The syntax tree of a file; parsed once, with parents. */
export function parse(file: SourceText): ts.SourceFile {
  const known = parsed.get(file);
  if (known !== undefined) return known;
  const tree = ts.createSourceFile(file.path, file.text, ts.ScriptTarget.Latest, true);
  parsed.set(file, tree);
  return tree;
}

/** Every node of a file, outer before inner. */
export function nodesOf(file: SourceText): ts.Node[] {
  const nodes: ts.Node[] = [];
  const visit = (node: ts.Node): void => {
    nodes.push(node);
    ts.forEachChild(node, visit);
  };
  visit(parse(file));
  return nodes;
}

/** The violation of a rule at a node. */
export function violationAt(file: SourceText, node: ts.Node, message: string): Violation {
  const tree = parse(file);
  const { line } = tree.getLineAndCharacterOfPosition(node.getStart(tree));
  return { path: file.path, line: line + 1, message };
}

/** The violations of a rule that judges lines: `judge` returns the message, or undefined. */
export function violationsByLine(
  file: SourceText,
  judge: (line: string) => string | undefined,
): Violation[] {
  return file.text.split('\n').flatMap((text, index) => {
    const message = judge(text);
    return message === undefined ? [] : [{ path: file.path, line: index + 1, message }];
  });
}
