// The one script of a page that shows octroi's elements: each element's module is loaded when the element is met.
const MODULES = {
	"octroi-admin": "./elements/admin.js",
	"octroi-alerts": "./elements/alerts.js",
	"octroi-balance": "./elements/balance.js",
	"octroi-billing": "./elements/billing.js",
	"octroi-diagnosis": "./elements/diagnosis.js",
	"octroi-history": "./elements/history.js",
	"octroi-invoices": "./elements/invoices.js",
	"octroi-limits": "./elements/limits.js",
	"octroi-members": "./elements/members.js",
	"octroi-plan": "./elements/plan.js",
	"octroi-recharge": "./elements/recharge.js",
	"octroi-topup": "./elements/topup.js",
	"octroi-usage": "./elements/usage.js",
};

function meet(node) {
	const module = MODULES[node.localName];
	if (module !== undefined && customElements.get(node.localName) === undefined)
		import(module);
}

function search(root) {
	if (root.nodeType !== Node.ELEMENT_NODE)
		return;
	meet(root);
	root.querySelectorAll(Object.keys(MODULES).join()).forEach(meet);
}

new MutationObserver((changes) => changes.forEach((change) => change.addedNodes.forEach(search)))
	.observe(document.documentElement, {childList: true, subtree: true});
search(document.documentElement);
