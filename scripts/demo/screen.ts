import { terminalSafe } from '@chaperone/collector/replay/terminal-safe.ts';

const codes = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const;
type Style = keyof typeof codes;

const narrowest = 60;
const widest = 110;
const indent = '     ';

/** A terminal, or a pipe: what the demo writes to. */
export type Terminal = NodeJS.WritableStream & {
  readonly isTTY?: boolean;
  readonly columns?: number;
};

/**
 * Lays out what the demo shows. On a terminal: colour, lines, text wrapped at its edge; elsewhere plain
 * ASCII around the texts themselves, one message a line.
 */
export class Screen {
  readonly #out: Terminal;
  readonly #styled: boolean;
  #scene = 0;
  #ended = false;

  constructor(out: Terminal, environment: NodeJS.ProcessEnv) {
    this.#out = out;
    this.#styled =
      out.isTTY === true && environment.TERM !== 'dumb' && (environment.NO_COLOR ?? '') === '';
  }

  /** For writers that lay out by width: what stands beside the indentation. */
  get columns(): number | undefined {
    return this.#out.isTTY === true ? this.#width() - indent.length : undefined;
  }

  title(text: string, caption: string): void {
    this.#line('');
    this.#line(`  ${this.#style(text, 'bold')}`);
    this.#paragraph('  ', caption, 'dim');
  }

  /** The next numbered part. */
  scene(title: string, caption: string): void {
    this.#scene += 1;
    const head = ` ${String(this.#scene).padStart(2)}  `;
    this.#line('');
    this.#line(this.#style(`${head}${title}`, 'bold', 'cyan'));
    this.#paragraph(indent, caption, 'dim');
  }

  /** What a caller sends. */
  statement(caller: string, text: string): void {
    this.#line('');
    const prompt = `${caller}> `;
    const lines = this.#wrap(text, indent.length + prompt.length);
    lines.forEach((line, at) => {
      const margin = at === 0 ? this.#style(prompt, 'dim') : ' '.repeat(prompt.length);
      this.#line(`${indent}${margin}${this.#style(line, 'bold')}`);
    });
  }

  /** A result; `numeric` columns stand to the right. */
  table(columns: readonly string[], rows: readonly (readonly unknown[])[]): void {
    const texts = rows.map((row) => row.map(cellText));
    const widths = columns.map((name, at) =>
      Math.max(name.length, ...texts.map((row) => row[at]!.length)),
    );
    const numeric = columns.map((_, at) =>
      texts.every((row) => /^-?\d+(\.\d+)?$/.test(row[at]!) || row[at] === ''),
    );
    const [bar, rule, cross] = this.#styled ? ['│', '─', '┼'] : ['|', '-', '+'];
    const lay = (cells: readonly string[]): string =>
      cells
        .map((cell, at) => (numeric[at] ? cell.padStart(widths[at]!) : cell.padEnd(widths[at]!)))
        .join(` ${this.#style(bar, 'dim')} `);
    this.#line(`${indent}${lay(columns).trimEnd()}`);
    this.#line(
      `${indent}${this.#style(widths.map((width) => rule.repeat(width)).join(`${rule}${cross}${rule}`), 'dim')}`,
    );
    for (const row of texts) this.#line(`${indent}${lay(row).trimEnd()}`);
  }

  /** A refusal as the client got it. */
  refusal(code: string, message: string, hint: string | undefined): void {
    this.#labelled(`ERROR ${code}`, message, 'red');
    if (hint !== undefined) this.#labelled('HINT', hint, 'yellow');
  }

  /** What somebody types at a shell. */
  command(text: string): void {
    this.#line('');
    this.#line(`${indent}${this.#style('$ ', 'dim')}${this.#style(text, 'bold')}`);
  }

  /** A change in a file of the resources. */
  edit(file: string, from: string, to: string): void {
    const arrow = this.#styled ? '→' : '->';
    this.#line('');
    this.#line(
      `${indent}${this.#style(`${file}:`, 'dim')} ${from} ${arrow} ${this.#style(to, 'bold')}`,
    );
  }

  /** Something that was checked and holds. */
  holds(text: string): void {
    const mark = this.#styled ? this.#style('✓', 'green') : 'ok:';
    const [first, ...rest] = this.#wrap(text, indent.length + (this.#styled ? 2 : 4));
    this.#line(`${indent}${mark} ${first}`);
    for (const line of rest) this.#line(`${indent}  ${line}`);
  }

  /** A line of another program, wrapped with its own margin kept. */
  quoted(line: string): void {
    const margin = /^(\+\S+ +#\d+ +| *)/.exec(line)![0];
    const lines = this.#wrap(line.slice(margin.length), indent.length + margin.length + 2);
    lines.forEach((text, at) => {
      this.#line(`${indent}${at === 0 ? margin : `${' '.repeat(margin.length)}  `}${text}`);
    });
  }

  /** One line, as it is. */
  plain(text: string, ...styles: Style[]): void {
    this.#line(`${indent}${this.#style(text, ...styles)}`);
  }

  paragraph(text: string): void {
    this.#line('');
    this.#paragraph(indent, text);
  }

  /** Writes nothing more. */
  end(): void {
    this.#ended = true;
  }

  blank(): void {
    this.#line('');
  }

  #labelled(label: string, text: string, style: Style): void {
    const margin = label.padEnd('ERROR 42501'.length + 2);
    this.#wrap(terminalSafe(text), indent.length + margin.length).forEach((line, at) => {
      const head = at === 0 ? this.#style(margin, style) : ' '.repeat(margin.length);
      this.#line(`${indent}${head}${line}`);
    });
  }

  #paragraph(margin: string, text: string, ...styles: Style[]): void {
    for (const line of this.#wrap(text, margin.length)) {
      this.#line(`${margin}${this.#style(line, ...styles)}`);
    }
  }

  #width(): number {
    return Math.min(widest, Math.max(narrowest, this.#out.columns ?? 80)) - 1;
  }

  /** The text in lines that fit beside `taken` columns; in a pipe, one line. */
  #wrap(text: string, taken: number): string[] {
    if (this.#out.isTTY !== true) return [text];
    const width = this.#width() - taken;
    const lines: string[] = [];
    let line = '';
    for (const word of text.split(' ')) {
      if (line !== '' && line.length + 1 + word.length > width) {
        lines.push(line);
        line = word;
      } else line = line === '' ? word : `${line} ${word}`;
    }
    return [...lines, line];
  }

  #style(text: string, ...styles: Style[]): string {
    if (!this.#styled || styles.length === 0) return text;
    return `\x1b[${styles.map((style) => codes[style]).join(';')}m${text}\x1b[0m`;
  }

  #line(text: string): void {
    if (!this.#ended) this.#out.write(`${text}\n`);
  }
}

function cellText(value: unknown): string {
  if (value === null || value === undefined) return '';
  if (value instanceof Date) return value.toISOString().slice(0, 10);
  return terminalSafe(typeof value === 'object' ? JSON.stringify(value) : String(value));
}
