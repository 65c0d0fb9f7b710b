// Bars as SVG.  The picture of a table that stands below it: hidden from screen readers, which read the table.
import {html, svg, nothing} from "./vendor/lit/lit-html.js";

const HEIGHT = 200;
const FLOOR = HEIGHT - 22;
const CEILING = 14;

// The step of a scale with about three lines: 1, 2 or 5 times a power of ten.
function step(highest) {
	const rough = highest / 3;
	const power = 10 ** Math.floor(Math.log10(rough));
	return [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
}

// bars: [{label, value, title, chosen}].  format: of the scale's numbers.  width: of the picture in pixels.
export function columns(bars, format, width) {
	const highest = Math.max(...bars.map((b) => b.value), 1);
	const unit = step(highest);
	const top = Math.ceil(highest / unit) * unit;
	const lines = Array.from({length: Math.round(top / unit)}, (_, i) => (i + 1) * unit);
	const pitch = width / bars.length;
	const every = Math.ceil(bars.length * 64 / width);
	const y = (value) => FLOOR - value / top * (FLOOR - CEILING);
	return html`<svg part="chart" class="chart" height=${HEIGHT} viewBox="0 0 ${width} ${HEIGHT}" aria-hidden="true" focusable="false">
		${lines.map((value) => svg`<line class="line" x1="0" x2=${width} y1=${y(value)} y2=${y(value)}></line>
			<text class="scale" x="0" y=${y(value) - 4}>${format(value)}</text>`)}
		<line class="floor" x1="0" x2=${width} y1=${FLOOR} y2=${FLOOR}></line>
		${bars.map((bar, i) => svg`<g class="bar ${bar.chosen ? "chosen" : ""}">
			<title>${bar.title}</title>
			<rect class="reach" x=${i * pitch} y="0" width=${pitch} height=${FLOOR}></rect>
			<rect class="value" x=${i * pitch + pitch * 0.16} y=${y(bar.value)} width=${pitch * 0.68} height=${Math.max(0, FLOOR - y(bar.value))}
				rx=${Math.min(3, pitch / 6)}></rect>
			${i % every === 0 ? svg`<text class="label" x=${i * pitch + pitch / 2} y=${HEIGHT - 6}>${bar.label}</text>` : nothing}</g>`)}
	</svg>`;
}
