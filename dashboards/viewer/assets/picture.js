// A slice as a picture: its display window, and over it the parts of a signed map.

const RAISES = [213, 94, 0], LOWERS = [0, 114, 178]; // Okabe and Ito's vermilion and blue

// Draw a slice into a canvas of its own size.
export function paint(canvas, slice, series, number, low, high) {
  const { rows, columns, channels, pixels } = slice;
  canvas.width = columns;
  canvas.height = rows;
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns, rows);
  const place = series.slopes.length > 1 ? number : 0;
  const slope = series.slopes[place], intercept = series.intercepts[place];
  let scale = (255 * slope) / (high - low), shift = (255 * (intercept - low)) / (high - low);
  if (series.inverted) [scale, shift] = [-scale, 255 - shift];
  const out = image.data; // rounds, and stops at 0 and 255
  for (let i = 0, o = 0; o < out.length; o += 4) {
    if (channels === 3) {
      out[o] = pixels[i++] * scale + shift;
      out[o + 1] = pixels[i++] * scale + shift;
      out[o + 2] = pixels[i++] * scale + shift;
    } else out[o] = out[o + 1] = out[o + 2] = pixels[i++] * scale + shift;
    out[o + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

// The map over a slice, on the body alone: as strong as each part's share of the effect that has the full
// colour in the case.
export class Overlay {
  constructor(map, series, full) {
    this.full = full || 1;
    this.map = map;
    this.series = series;
    this.canvas = document.createElement("canvas");
    this.mask = document.createElement("canvas");
    this.bits = Uint8Array.from(atob(map.mask), (letter) => letter.charCodeAt(0));
    this.shown = -1;
  }

  // The number, in the map's array, of the slice that is nearest to the one that is shown.
  nearest(number) {
    let best = 0;
    this.map.read.forEach((at, index) => {
      if (Math.abs(at - number) < Math.abs(this.map.read[best] - number)) best = index;
    });
    return best;
  }

  at(number) {
    const index = this.nearest(number);
    if (index === this.shown) return this.canvas;
    this.shown = index;
    const { canvas, map } = this, context = canvas.getContext("2d");
    canvas.width = this.series.columns;
    canvas.height = this.series.rows;
    for (const part of map.parts) {
      if (part.slice !== map.read[index]) continue;
      const [r, g, b] = part.value > 0 ? RAISES : LOWERS;
      context.fillStyle = `rgba(${r},${g},${b},${Math.min(Math.abs(part.value) / this.full, 1)})`;
      context.fillRect(part.column, part.row, part.width, part.height);
    }
    this.#paintMask(index);
    context.globalCompositeOperation = "destination-in";
    context.imageSmoothingEnabled = false;
    context.drawImage(this.mask, 0, 0, canvas.width, canvas.height);
    return canvas;
  }

  #paintMask(index) {
    const { mask_rows: rows, mask_columns: columns } = this.map;
    this.mask.width = columns;
    this.mask.height = rows;
    const context = this.mask.getContext("2d"), image = context.createImageData(columns, rows);
    const start = index * rows * columns;
    for (let i = 0; i < rows * columns; i++)
      if ((this.bits[(start + i) >> 3] >> (7 - ((start + i) & 7))) & 1) image.data[4 * i + 3] = 255;
    context.putImageData(image, 0, 0);
  }
}
