// A plot of each question: bars by work, one colour a subject.  By gnuplot, if it is there.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { questions } from './questions.mjs';
import { rowsOf } from './table.mjs';

const COLOURS = ['#1b6ca8', '#d1495b', '#edae49', '#66a182', '#8d6a9f', '#2e4057', '#f28e2b', '#76b7b2',
    '#9c755f', '#59a14f', '#b07aa1', '#e15759', '#79706e', '#bab0ac'];
const quote = (text) => `"${text.replaceAll('"', '')}"`;

function script(answer, file) {
    const { title, unit, subjects } = questions[answer.key];
    const rows = rowsOf(answer).filter((row) => row.figure !== undefined);
    const works = [...new Set(rows.map((row) => row.work))];
    const names = subjects.filter((name) => rows.some((row) => row.name === name));
    const figure = (work, name) =>
        rows.find((row) => row.work === work && row.name === name)?.figure?.toPrecision(4) ?? 'NaN';
    const data = [['work', ...names].map(quote), ...works.map((work) =>
        [quote(work), ...names.map((name) => figure(work, name))])];
    return `set terminal svg size ${Math.max(640, 120 + works.length * (24 + names.length * 14))},480 font "sans-serif,11"
set output ${quote(file)}
set title ${quote(title)}
set ylabel ${quote(unit)}
set yrange [0:*]
set style data histograms
set style histogram clustered gap 1
set style fill solid 0.85
set grid ytics
set key outside top right
${COLOURS.map((colour, i) => `set linetype ${i + 1} linecolor rgb "${colour}"`).join('\n')}
set xtics rotate by -35 noenhanced
$data << END
${data.map((line) => line.join(' ')).join('\n')}
END
plot ${names.map((_, i) => `$data using ${i + 2}${i ? '' : ':xtic(1)'} title columnheader(${i + 2}) noenhanced`).join(', ')}
`;
}

export function drawAll(answers, folder) {
    for (const answer of answers) {
        const file = path.join(folder, `${answer.key}.svg`);
        const { error, status, stderr } = spawnSync('gnuplot', { input: script(answer, file) });
        if (error) return console.log(`no plots: ${error.message}`);
        if (status) console.log(`no plot of ${answer.key}: ${stderr}`);
    }
}
