// Takes orders, one JSON object a line on standard input, and answers each with one on standard output.
import readline from 'node:readline';

export async function serve(handlers) {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const order = JSON.parse(line);
    let answer;
    try {
      answer = (await handlers[order.do](order)) ?? {};
    } catch (error) {
      answer = { error: String(error?.stack ?? error) };
    }
    process.stdout.write(JSON.stringify(answer) + '\n');
    if (order.do === 'close') process.exit(0);
  }
}
