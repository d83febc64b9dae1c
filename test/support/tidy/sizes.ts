// The budgets: lines of a file, lines of a function, columns of a line, and the documentation that
// an exported name owes its reader.
import ts from 'typescript';
import {
  type FileRule,
  isCode,
  nodesOf,
  parse,
  type SourceText,
  type Violation,
  violationAt,
  violationsByLine,
} from './source.js';

const fileLinesMax = 400;
const medianLinesMax = 100;
const functionLinesMax = 60;
const lineColumnsMax = 100;
const generated = '\n<!-- generated: npm run docs -->\n';

/** No file of code over 400 lines. */
export const fileLength: FileRule = (file) => {
  if (!isCode(file) && !/\.(?:sql|proto|py)$/.test(file.path)) return [];
  const lines = file.text.trimEnd().split('\n').length;
  if (lines <= fileLinesMax) return [];
  const message = `${lines} lines, at most ${fileLinesMax}: split it by noun`;
  return [{ path: file.path, line: fileLinesMax + 1, message }];
};

/** Half of the files of src have at most 100 lines. */
export function medianLength(files: readonly SourceText[]): Violation[] {
  const lengths = files
    .filter(({ path }) => /^src\/.*\.ts$/.test(path))
    .map(({ text }) => text.trimEnd().split('\n').length)
    .sort((a, b) => a - b);
  const median = lengths[Math.floor(lengths.length / 2)] ?? 0;
  if (median <= medianLinesMax) return [];
  const message = `half of the files have ${median} lines or more, at most ${medianLinesMax}`;
  return [{ path: 'src', line: 1, message }];
}

/** A group of tests is a list, not a function: it may be as long as its file. */
function isTestGroup(node: ts.Node): boolean {
  return ts.isCallExpression(node.parent) && /^describe\b/.test(node.parent.expression.getText());
}

/** No function over 60 lines. */
export const functionLength: FileRule = (file) => {
  if (!isCode(file)) return [];
  const tree = parse(file);
  const lineOf = (position: number) => tree.getLineAndCharacterOfPosition(position).line;
  return nodesOf(file).flatMap((node) => {
    if (!ts.isFunctionLike(node) || isTestGroup(node)) return [];
    const lines = lineOf(node.getEnd()) - lineOf(node.getStart(tree)) + 1;
    if (lines <= functionLinesMax) return [];
    const message =
      `a function of ${lines} lines, at most ${functionLinesMax}: ` +
      'keep the decisions here and give each step a name of its own';
    return [violationAt(file, node, message)];
  });
};

/** No line over 100 columns, but for addresses, rows of a markdown table and rendered pages. */
export const lineLength: FileRule = (file) =>
  file.path.endsWith('.json') || (file.path.endsWith('.md') && file.text.includes(generated))
    ? []
    : violationsByLine(file, (line) => {
        const columns = [...line].length;
        if (columns <= lineColumnsMax || /https?:\/\//.test(line)) return undefined;
        if (file.path.endsWith('.md') && line.startsWith('|')) return undefined;
        return `${columns} columns, at most ${lineColumnsMax}: run \`npm run format\`, or break it`;
      });

/** Every file of src says in a comment at its top what it holds and what it refuses. */
export const fileHeader: FileRule = (file) => {
  if (!/^src\/.*\.ts$/.test(file.path)) return [];
  const text = file.text.replace(/^#!.*\n/, '');
  if (/^(?:\/\/|\/\*\*?)\s*\S/.test(text)) return [];
  const message = 'begin with one to four sentences: what this file holds, what it refuses';
  return [{ path: file.path, line: 1, message }];
};

const documentedPaths = /^src\/(?:(?:postgres|wire|client)\/|errors\.ts$)/;

function isExported(node: ts.Node): boolean {
  return (
    ts.canHaveModifiers(node) &&
    (ts.getModifiers(node) ?? []).some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)
  );
}

/** Every export of the core, the client and the error table is documented where it is declared. */
export const documentedExports: FileRule = (file: SourceText) => {
  if (!documentedPaths.test(file.path)) return [];
  const message = 'an export needs a doc comment: meaning, unit, default, limits, errors thrown';
  return parse(file).statements.flatMap((statement) => {
    const isDocumented = ts.getJSDocCommentsAndTags(statement).length > 0;
    return isExported(statement) && !isDocumented ? [violationAt(file, statement, message)] : [];
  });
};
