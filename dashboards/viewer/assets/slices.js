// The slices of one series as they come from the server: the wanted one first, then its neighbours.
// Reference: mmdiag/storage/display/codec.py, `raw_slice`.

const KINDS = [Uint8Array, Uint16Array, Int16Array]; // of pixels, by their number in the head
const HEAD = 8; // bytes: kind, channels, rows, columns, and nothing
const AT_ONCE = 4; // requests
const MOST_BYTES = 160 * 2 ** 20; // of slices that are kept

export class Slices {
  constructor(series, arrived) {
    this.series = series;
    this.arrived = arrived; // called with the number of each slice that came or failed
    this.kept = new Map();
    this.failed = new Map();
    this.asked = new Set();
    this.middle = 0;
    this.bytes = 0;
  }

  // The slice, or undefined until it has come.
  get(number) {
    this.middle = number;
    this.#ask();
    return this.kept.get(number);
  }

  #ask() {
    for (let far = 0; far < this.series.slices && this.asked.size < AT_ONCE; far++) {
      for (const number of far ? [this.middle + far, this.middle - far] : [this.middle]) {
        const there = number >= 0 && number < this.series.slices;
        const known = this.kept.has(number) || this.asked.has(number) || this.failed.has(number);
        if (!there || known || this.asked.size >= AT_ONCE) continue;
        if (far && this.bytes > MOST_BYTES && !this.#drop(far)) return;
        this.#fetch(number);
      }
    }
  }

  // Forget the farthest slice, where it is farther than the one that is wanted.
  #drop(far) {
    let farthest = -1, distance = far;
    for (const number of this.kept.keys())
      if (Math.abs(number - this.middle) > distance) {
        distance = Math.abs(number - this.middle);
        farthest = number;
      }
    if (farthest < 0) return false;
    this.bytes -= this.kept.get(farthest).pixels.byteLength;
    return this.kept.delete(farthest);
  }

  async #fetch(number) {
    this.asked.add(number);
    try {
      const address = new URL(`${this.series.url}&slice=${number}`, window.location.href);
      const answer = await fetch(address, { credentials: "same-origin" });
      if (!answer.ok) throw new Error(answer.status === 410 ? await answer.text() : "");
      const slice = decoded(await answer.arrayBuffer());
      this.kept.set(number, slice);
      this.bytes += slice.pixels.byteLength;
    } catch (error) {
      this.failed.set(number, error.message || "This slice could not be loaded.");
    }
    this.asked.delete(number);
    this.arrived(number);
    this.#ask();
  }
}

function decoded(content) {
  const head = new DataView(content);
  return {
    channels: head.getUint8(1),
    rows: head.getUint16(2, true),
    columns: head.getUint16(4, true),
    pixels: new KINDS[head.getUint8(0)](content, HEAD),
  };
}
