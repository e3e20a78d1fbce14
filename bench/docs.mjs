// Puts the figures of the last run, build/bench/bench.json, into docs/benchmarks.md between its two
// marks, and its plots into docs/benchmarks/.
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { judge } from './goals.mjs';
import { tree } from './process.mjs';
import { goalLines, tableLines } from './table.mjs';

const FROM = '<!-- figures -->', TO = '<!-- end of figures -->';
const page = path.join(tree, 'docs/benchmarks.md');
const plots = path.join(tree, 'docs/benchmarks');
const bench = path.join(tree, 'build/bench');

const run = JSON.parse(readFileSync(path.join(bench, 'bench.json'), 'utf8'));
const about = [`Run of ${run.at} by \`make ${run.kind === 'quick' ? 'bench-quick' : 'bench'}\`.`, '',
    ...Object.entries(run.machine).map(([key, value]) => `- ${key}: ${value}`)];
const tables = run.answers.flatMap((answer) =>
    [...tableLines(answer), '', `![${answer.key}](benchmarks/${answer.key}.svg)`]);
const text = readFileSync(page, 'utf8');
const [before, after] = [text.split(FROM)[0], text.split(TO)[1]];
writeFileSync(page, [`${before}${FROM}`, '', ...about, ...goalLines(judge(run.answers)), ...tables, '',
    `${TO}${after}`].map((line) => line.trimEnd()).join('\n') + (after.endsWith('\n') ? '\n' : ''));

rmSync(plots, { recursive: true, force: true });
mkdirSync(plots, { recursive: true });
for (const { key } of run.answers)
    copyFileSync(path.join(bench, `${key}.svg`), path.join(plots, `${key}.svg`));
