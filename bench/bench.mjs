// Asks the questions, round by round, and prints a table for each and then the goals.
//
//     bench/run.sh bench|quick [QUESTION]...     all of them, or some
//     bench/run.sh one SUBJECT WORK [OPTION]...  one figure: what the load prints
//
// All figures go to build/bench/bench.json, plots to build/bench/*.svg; docs.mjs makes pages of them.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { judge } from './goals.mjs';
import { drawAll } from './plot.mjs';
import { machine, tree } from './process.mjs';
import { HEAD_ROUNDS, questions } from './questions.mjs';
import { measure, stopSubject, subject } from './subjects.mjs';
import { goalLines, tableLines } from './table.mjs';

const TIMES = { bench: ['--warm', 0.4, '--seconds', 1.2], quick: ['--warm', 0.25, '--seconds', 0.6] };

const [kind, ...rest] = process.argv.slice(2);
const folder = mkdtempSync(path.join(tmpdir(), 'rvpn-bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
for (const name of ['SIGINT', 'SIGTERM']) process.on(name, () => process.exit(1));

// One round of one work: nobody is always first.
async function askAll(question, work, round, tell) {
    const names = question.subjects.filter((name) => !question.skips?.(name, work));
    for (let i = 0; i < names.length; i++) {
        const name = names[(i + round) % names.length];
        const one = await subject(name, folder);
        const seen = one.absent ? { error: one.absent }
            : await (question.measure ?? measure)(one, work, TIMES[kind])
                .catch((err) => ({ error: err.message }));
        tell({ round, work: work.join(' '), subject: name, command: one.command, seen,
            figure: seen.error ? undefined : question.figure(seen) });
    }
}

async function ask(key) {
    const question = questions[key];
    const results = [];
    const quick = kind === 'quick' ? 1 : 0;
    const rounds = question.rounds[quick];
    const isAsked = (work, round) => round < rounds || work.join(' ') === question.head;
    const from = performance.now();
    for (let round = 0; round < Math.max(rounds, question.head ? HEAD_ROUNDS[quick] : 0); round++)
        for (const work of question.works.filter((one) => isAsked(one, round)))
            await askAll(question, work, round, (result) => results.push(result));
    if (question.releases)
        for (const name of question.subjects) if (name !== 'rvpn') await stopSubject(name);
    console.error(`${key}: ${rounds} rounds, ${Math.round((performance.now() - from) / 1000)} s`);
    return { key, results };
}

async function askOne() {
    const [name, ...work] = rest;
    await subject('rvpn', folder); // has the certificate
    console.log(JSON.stringify(await measure(await subject(name, folder), work)));
}

async function askQuestions() {
    const about = { kind, at: new Date().toISOString().slice(0, 10), machine: machine() };
    const answers = [];
    await subject('rvpn', folder);
    for (const key of rest.length ? rest : Object.keys(questions)) {
        answers.push(await ask(key));
        console.log(tableLines(answers.at(-1)).join('\n'));
    }
    const goals = judge(answers).filter((goal) => !rest.length || goal.number !== undefined);
    const out = path.join(tree, 'build/bench');
    mkdirSync(out, { recursive: true });
    writeFileSync(path.join(out, 'bench.json'), JSON.stringify({ ...about, goals, answers }, null, 1));
    drawAll(answers, out);
    console.log(`\n${Object.entries(about.machine).map(([k, v]) => `${k} ${v}`).join(', ')}`);
    console.log(`all figures and plots: ${path.relative(process.cwd(), out) || '.'}`);
    console.log(goalLines(goals).join('\n'));
}

await (kind === 'one' ? askOne() : askQuestions());
process.exit(0);
