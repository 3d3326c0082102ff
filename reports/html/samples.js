"use strict";
/* The samples of the page, behind a message port: unpacks, filters, searches. It runs in a worker made from this
   script's own text, or on the page where there are no workers, and gives way every few milliseconds in both, so
   that a newer question stops an older one. The layout of what it reads is described in reports/html/samples.h.

   Messages to it:    {type: "open", index}    {type: "pieces", first, texts}
                      {type: "find", id, filter}    {type: "rows", id, rows}
   Messages from it:  {type: "found", id, rows, part, done}    {type: "rows", id, samples}
   filter: {system, other: number or -1 for any, scorer: "paper" | "strict", task, language, verdict, text} */

const FLAG = { answered: 1, paper: 2, strict: 4, unparsed: 8, error: 16, truncated: 32, length: 64, stop: 128 };
const FIELD_END = 0x1f, ROW_END = 0x1e;
const KEPT_BLOCKS = 48; // unpacked blocks kept for showing rows
const SLICE_MS = 12;    // how long to work before giving way

/* Whether one system's flags are what a verdict asks for. */
const VERDICTS = {
  any: () => true,
  right: (flags, right) => (flags & right) !== 0,
  wrong: (flags, right) => (flags & right) === 0,
  disagree: (flags) => !(flags & FLAG.error) && ((flags & FLAG.paper) !== 0) !== ((flags & FLAG.strict) !== 0),
  unparsed: (flags) => (flags & FLAG.unparsed) !== 0,
  length: (flags) => (flags & FLAG.length) !== 0,
  truncated: (flags) => (flags & FLAG.truncated) !== 0,
  error: (flags) => (flags & FLAG.error) !== 0,
};
/* Whether a system and another one are. */
const FLIPS = {
  flipped: (own, other) => own !== other,
  gained: (own, other) => own && !other,
  lost: (own, other) => !own && other,
};

/* The words of a query, and "quoted phrases", in lower case; a row must have all of them. */
function searchTerms(text) {
  const terms = [];
  for (const match of text.toLowerCase().normalize("NFC").matchAll(/"([^"]+)"?|[^\s"]+/g))
    terms.push(match[1] === undefined ? match[0] : match[1]);
  return terms;
}

class Samples {
  constructor(index) {
    this.index = index;
    this.systems = index.systems.length;
    this.fields = 2 + this.systems;
    this.blockStart = [0];
    for (const rows of index.blocks) this.blockStart.push(this.blockStart[this.blockStart.length - 1] + rows);
    this.cellStart = [0];
    for (const cell of index.cells) this.cellStart.push(this.cellStart[this.cellStart.length - 1] + cell.rows);
    this.count = this.blockStart[this.blockStart.length - 1];
    this.pieces = new Array(index.blocks.length + 1).fill(null); // piece 0 holds the flags, piece 1 + b block b
    this.waiting = [];
    this.searched = new Array(index.blocks.length).fill(null);
    this.unpacked = new Map(); // block → rows, the least recently used first
    this.flags = null;
  }

  add(first, texts) {
    texts.forEach((text, i) => (this.pieces[first + i] = text));
    for (const wake of this.waiting.splice(0)) wake();
  }

  async piece(n) {
    while (this.pieces[n] === null) await new Promise((resolve) => this.waiting.push(resolve));
    const packed = atob(this.pieces[n]);
    const bytes = new Uint8Array(packed.length);
    for (let i = 0; i < packed.length; i++) bytes[i] = packed.charCodeAt(i);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  async ready() {
    if (!this.flags) this.flags = await this.piece(0);
  }

  /* The rows of a block as text. */
  async block(b) {
    let rows = this.unpacked.get(b);
    if (rows) {
      this.unpacked.delete(b);
    } else {
      rows = new TextDecoder().decode(await this.piece(1 + b)).split("\x1e");
      if (this.unpacked.size >= KEPT_BLOCKS) this.unpacked.delete(this.unpacked.keys().next().value);
    }
    this.unpacked.set(b, rows);
    return rows;
  }

  /* What is searched of a block, in lower case, and where each of its fields ends. */
  async searchable(b) {
    if (this.searched[b]) return this.searched[b];
    const cached = this.unpacked.get(b);
    const rows = cached || new TextDecoder().decode(await this.piece(1 + b)).split("\x1e");
    const parts = [];
    for (let r = 0; r + 1 < rows.length; r++) parts.push(rows[r].slice(0, rows[r].indexOf("\x1d")));
    const text = (parts.join("\x1e") + "\x1e").toLowerCase().normalize("NFC");
    const ends = new Uint32Array((rows.length - 1) * this.fields);
    for (let at = 0, n = 0; n < ends.length; at++) {
      const c = text.charCodeAt(at);
      if (c === FIELD_END || c === ROW_END) ends[n++] = at;
    }
    this.searched[b] = { text, ends };
    return this.searched[b];
  }

  /* 1 for every row whose task, language and verdict are asked for. */
  candidates(filter) {
    const kept = new Uint8Array(this.count);
    this.index.cells.forEach((cell, c) => {
      if ((filter.task && cell.task !== filter.task) || (filter.language && cell.language !== filter.language)) return;
      kept.fill(1, this.cellStart[c], this.cellStart[c + 1]);
    });
    const all = [...Array(this.systems).keys()];
    const own = filter.system < 0 ? all : [filter.system], others = filter.other < 0 ? all : [filter.other];
    const right = FLAG[filter.scorer];
    const wanted = VERDICTS[filter.verdict], flip = FLIPS[filter.verdict];
    for (let row = 0; row < this.count; row++)
      if (kept[row] && !this.passes(row, own, others, right, wanted, flip)) kept[row] = 0;
    return kept;
  }

  passes(row, own, others, right, wanted, flip) {
    for (const s of own) {
      const flags = this.flags[s * this.count + row];
      if (!(flags & FLAG.answered)) continue;
      if (wanted) {
        if (wanted(flags, right)) return true;
        continue;
      }
      for (const o of others) {
        const theirs = this.flags[o * this.count + row];
        if (theirs & FLAG.answered && flip((flags & right) !== 0, (theirs & right) !== 0)) return true;
      }
    }
    return false;
  }

  /* Rows of block b that are marked in `kept` and hold every term, in the question, the target or an answer of
     the chosen system. */
  async matches(b, kept, terms, system) {
    const first = this.blockStart[b], rows = this.blockStart[b + 1] - first;
    const { text, ends } = await this.searchable(b);
    let found = kept.subarray(first, first + rows);
    for (const term of terms) {
      const hits = new Uint8Array(rows);
      let field = 0;
      for (let at = text.indexOf(term); at >= 0; ) {
        while (ends[field] < at) field++;
        const row = Math.floor(field / this.fields), column = field % this.fields;
        const counts = found[row] && (system < 0 || column < 2 || column === 2 + system);
        if (counts) hits[row] = 1;
        field = counts || !found[row] ? (row + 1) * this.fields : field + 1;
        if (field >= ends.length) break;
        at = text.indexOf(term, ends[field - 1] + 1);
      }
      found = hits;
    }
    const list = [];
    for (let r = 0; r < rows; r++) if (found[r]) list.push(first + r);
    return list;
  }

  /* Calls report(rows, part, done) as rows are found; stops when current() no longer holds. */
  async find(filter, report, current) {
    await this.ready();
    const kept = this.candidates(filter), terms = searchTerms(filter.text);
    if (!terms.length) {
      const list = [];
      for (let row = 0; row < this.count; row++) if (kept[row]) list.push(row);
      report(list, 1, true);
      return;
    }
    let list = [], since = performance.now();
    const blocks = this.index.blocks.length;
    for (let b = 0; b < blocks; b++) {
      if (kept.subarray(this.blockStart[b], this.blockStart[b + 1]).includes(1))
        list = list.concat(await this.matches(b, kept, terms, filter.system));
      if (performance.now() - since < SLICE_MS) continue;
      report(list, (b + 1) / blocks, false);
      list = [];
      await pause();
      if (!current()) return;
      since = performance.now();
    }
    report(list, 1, true);
  }

  /* Prepares everything for searching, a block at a time. */
  async prepare() {
    for (let b = 0; b < this.index.blocks.length; b++) {
      await this.searchable(b);
      await pause();
    }
  }

  blockOf(row) {
    let low = 0, high = this.blockStart.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.blockStart[middle] <= row) low = middle;
      else high = middle;
    }
    return low;
  }

  async sample(row) {
    await this.ready();
    const b = this.blockOf(row);
    const [searched, details] = (await this.block(b))[row - this.blockStart[b]].split("\x1d");
    const [main, target, ...answers] = searched.split("\x1f");
    const [docId, doc, ...rest] = details.split("\x1f");
    const cell = this.index.cells.find((_, c) => row < this.cellStart[c + 1]);
    const answered = answers.map((answer, s) => {
      const [paper, strict, prompt, source, tokens] = rest.slice(5 * s, 5 * s + 5);
      return {
        answer, paper, strict, prompt: this.prompt(prompt, main), source: this.prompt(source, main),
        tokens: tokens.split("/"), flags: this.flags[s * this.count + row],
      };
    });
    return { row, cell, main, target, docId, doc, systems: answered };
  }

  prompt(text, main) {
    if (text.startsWith("=")) return this.index.templates[Number(text.slice(1))].join(main);
    return text.slice(1);
  }
}

/* Lets other messages in. */
function pause() {
  return new Promise((resolve) => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => {
      channel.port1.close();
      resolve();
    };
    channel.port2.postMessage(null);
  });
}

function serveSamples(port) {
  let samples = null, newest = -1;
  const answers = {
    open(message) {
      samples = new Samples(message.index);
    },
    async pieces(message) {
      samples.add(message.first, message.texts);
      if (message.last) await samples.prepare();
    },
    async find(message) {
      newest = message.id;
      const report = (rows, part, done) =>
        port.postMessage({ type: "found", id: message.id, rows: Uint32Array.from(rows), part, done });
      await samples.find(message.filter, report, () => newest === message.id);
    },
    async rows(message) {
      const list = await Promise.all(message.rows.map((row) => samples.sample(row)));
      port.postMessage({ type: "rows", id: message.id, samples: list });
    },
  };
  port.onmessage = (event) => {
    const failed = (error) => port.postMessage({ type: "failed", message: String(error) });
    try {
      Promise.resolve(answers[event.data.type](event.data)).catch(failed);
    } catch (error) {
      failed(error);
    }
  };
}

if (typeof document === "undefined") serveSamples(self);
