// What every picture is made of: colours, a document, and plots and words at their places in it.
import type * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";

const FONT = "DejaVu Sans, Helvetica, Arial, sans-serif";
export const INK = "#222222";
export const QUIET = "#5f6368";
/** Okabe and Ito's colours: told apart also by readers who do not see red and green as others do. */
export const COLOURS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9"];
export const UNKNOWN_COLOUR = "#888888";

export type Document = ReturnType<typeof parseHTML>["document"];

/** Pixels. */
export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** An empty document for Plot to draw in. */
export function newDocument(): Document {
  return parseHTML("<!doctype html><body></body>").document;
}

/** A complete SVG document on white ground. `parts` are elements. */
export function svgText(
  { title, width, height }: { title: string; width: number; height: number },
  parts: string[],
): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"`,
    ` font-family="${FONT}" role="img"><title>${escapeText(title)}</title>`,
    `<rect width="${width}" height="${height}" fill="white"/>`,
    ...parts,
    "</svg>\n",
  ].join("\n");
}

/** A plot at its place in the document. Plot's own style sheet is for browsers; what it says is set as attributes. */
export function place(plot: ReturnType<typeof Plot.plot>, box: Box): string {
  plot.querySelector("style")?.remove();
  plot.setAttribute("x", String(box.x));
  plot.setAttribute("y", String(box.y));
  plot.setAttribute("font-size", "12");
  plot.setAttribute("font-family", FONT);
  plot.removeAttribute("class");
  // Two decimals are a hundredth of a pixel; more only makes the file longer.
  return plot.outerHTML.replaceAll(/(\d\.\d\d)\d+/g, "$1");
}

/** A line of words with its left end at x and its base line at y. */
export function text(x: number, y: number, words: string, size: number, colour: string, weight = "normal"): string {
  return `<text x="${x}" y="${y}" font-size="${size}" fill="${colour}" font-weight="${weight}">${escapeText(words)}</text>`;
}

function escapeText(words: string): string {
  return words.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
