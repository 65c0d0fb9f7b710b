// A bar of what is used of a limit: a picture only, because the sentence beside it has the figures.
import {svg, nothing} from "./vendor/lit/lit-html.js";
import {html} from "./vendor/lit/lit-html.js";

const MARKS = [50, 75];
const NEAR = 75;

export function bar(used, limit) {
	const share = limit > 0 ? Math.min(100, Math.max(0, used / limit * 100)) : 100;
	const state = share >= 100 ? "over" : share >= NEAR ? "near" : "";
	return html`<svg class="bar" part="bar" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">
		<rect class="track" width="100" height="4"></rect>
		${share > 0 ? svg`<rect class="used ${state}" width=${share} height="4"></rect>` : nothing}
		${MARKS.map((mark) => svg`<rect class="mark" x=${mark} width="0.4" height="4"></rect>`)}
	</svg>`;
}
