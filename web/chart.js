// Bars as SVG.  The picture of a table that stands below it: hidden from screen readers, which read the table.  Where bars
// open something they are buttons, of which one at a time is a stop of the tab key.
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

const STEPS = {ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity};

const stopsOf = (bar) => [...bar.parentNode.querySelectorAll("[role=button]")];

// Enter and the space bar open the bar; arrows, Home and End lead to another one that opens.
function press(event, bar) {
	if (event.key === "Enter" || event.key === " ") {
		event.preventDefault();
		bar.open();
		return;
	}
	if (STEPS[event.key] === undefined)
		return;
	event.preventDefault();
	const stops = stopsOf(event.currentTarget);
	const at = stops.indexOf(event.currentTarget) + STEPS[event.key];
	stops[Math.max(0, Math.min(stops.length - 1, at))].focus();
}

function stop(event) {
	stopsOf(event.currentTarget).forEach((bar) => bar.setAttribute("tabindex", bar === event.currentTarget ? 0 : -1));
}

// bars: [{label, value, title, key, open}]; open: what a click does, where it does anything.  format: of the scale's
// numbers.  width: of the picture in pixels.  name: of bars that open.
export function columns(bars, format, width, name) {
	const last = bars.findLast((bar) => bar.open);
	const highest = Math.max(...bars.map((b) => b.value), 1);
	const unit = step(highest);
	const top = Math.ceil(highest / unit) * unit;
	const lines = Array.from({length: Math.round(top / unit)}, (_, i) => (i + 1) * unit);
	const pitch = width / bars.length;
	const every = Math.ceil(bars.length * 64 / width);
	const y = (value) => FLOOR - value / top * (FLOOR - CEILING);
	return html`<svg part="chart" class="chart" height=${HEIGHT} viewBox="0 0 ${width} ${HEIGHT}" aria-hidden=${last ? nothing : "true"}
		role=${last ? "group" : nothing} aria-label=${last ? name : nothing} focusable="false">
		${lines.map((value) => svg`<line class="line" x1="0" x2=${width} y1=${y(value)} y2=${y(value)}></line>
			<text class="scale" aria-hidden="true" x="0" y=${y(value) - 4}>${format(value)}</text>`)}
		<line class="floor" x1="0" x2=${width} y1=${FLOOR} y2=${FLOOR}></line>
		${bars.map((bar, i) => svg`<g class="bar" role=${bar.open ? "button" : nothing} aria-label=${bar.open ? bar.title : nothing}
			tabindex=${bar.open ? (bar === last ? 0 : -1) : nothing} data-key=${bar.key ?? nothing}
			@click=${bar.open ?? null} @keydown=${bar.open ? (event) => press(event, bar) : null} @focus=${bar.open ? stop : null}>
			<title>${bar.title}</title>
			<rect class="reach" x=${i * pitch} y="0" width=${pitch} height=${FLOOR}></rect>
			<rect class="value" x=${i * pitch + pitch * 0.16} y=${y(bar.value)} width=${pitch * 0.68} height=${Math.max(0, FLOOR - y(bar.value))}
				rx=${Math.min(3, pitch / 6)}></rect>
			${i % every === 0 ? svg`<text class="label" aria-hidden="true" x=${i * pitch + pitch / 2} y=${HEIGHT - 6}>${bar.label}</text>` : nothing}</g>`)}
	</svg>`;
}
