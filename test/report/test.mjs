/*
 * test.mjs
 *		The pages of run.sh in Chromium: light and dark, wide and narrow, with the keyboard, and what
 *		axe-core says of them.
 *
 * usage: node test.mjs AXE FOLDER.  REPORT_PICTURES is a folder for screenshots, if any.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { withPage } from './chromium.mjs';

const [axe, folder] = process.argv.slice(2);
const script = readFileSync(axe, 'utf8');
const { REPORT_PICTURES } = process.env;

function ok(good, name, detail = '') {
	console.log(`${good ? '' : 'not '}ok - ${name}`);
	if (!good) {
		process.exitCode = 1;
		console.log(`# ${JSON.stringify(detail)}`);
	}
}

const run = `axe.run({ resultTypes: ['violations', 'incomplete'] }).then(({ violations }) =>
	violations.map(({ id, nodes }) => [id, nodes[0].html, nodes[0].failureSummary]))`;

async function look(page, width, scheme) {
	await page.send('Emulation.setDeviceMetricsOverride', { width, height: 900, deviceScaleFactor: 1, mobile: false });
	await page.send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] });
	await page('new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))');
}

async function picture(page, name, height) {
	if (!REPORT_PICTURES) return;
	const { data } = await page.send('Page.captureScreenshot', { format: 'png', optimizeForSpeed: false, captureBeyondViewport: true,
		clip: { x: 0, y: 0, width: await page('innerWidth'), height, scale: 0.75 } });

	writeFileSync(`${REPORT_PICTURES}/${name}.png`, Buffer.from(data, 'base64'));
}

async function press(page, key) {
	for (const type of ['keyDown', 'keyUp']) await page.send('Input.dispatchKeyEvent', { type, key, code: key, windowsVirtualKeyCode: key === 'Tab' ? 9 : 13,
		text: key === 'Enter' ? '\r' : undefined });
}

async function faults(page, name) {
	for (const [width, scheme] of [[1200, 'light'], [1200, 'dark'], [360, 'light'], [360, 'dark']]) {
		await look(page, width, scheme);
		const found = await page(run);

		ok(found.length === 0, `${name}: axe finds no fault, ${scheme}, ${width} px wide`, found);
		ok(await page('document.documentElement.scrollWidth <= innerWidth'), `${name}: nothing sticks out, ${scheme}, ${width} px wide`,
			await page("[...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML.slice(0, 200)).slice(0, 5)"));
	}
}

async function visit(name, work) {
	await withPage(`file://${folder}/${name}.html`, `${folder}/profile`, async (page) => {
		for (let i = 0; i < 200 && !await page("document.readyState === 'complete' && document.title !== ''"); i++) await new Promise((resolve) => setTimeout(resolve, 25));
		ok(await page("document.scripts.length === 0 && document.images.length === 0 && document.querySelectorAll('[style], [onerror], iframe, object').length === 0"),
			`${name}: no script, no image`);
		ok(await page("getComputedStyle(document.querySelector('section')).borderRadius !== '0px'"), `${name}: the style sheet counts, as its hash fits`);
		ok(await page("document.title.startsWith('clerk_rls in ')"), `${name}: its title is its own`, await page('document.title'));
		ok(await page("[...document.querySelectorAll('nav a')].every((a) => document.querySelector(a.hash)) && document.querySelectorAll('nav a').length >= 8"),
			`${name}: each section is found`);
		await page(`${script}; undefined`);
		await work(page);
	});
}

await visit('shop', async (page) => {
	await faults(page, 'shop');
	await look(page, 1000, 'light');
	await picture(page, 'report-light', 900);
	await look(page, 1000, 'dark');
	await picture(page, 'report-dark', 900);
	await look(page, 360, 'light');
	await picture(page, 'report-360', 900);

	await look(page, 1200, 'light');
	await press(page, 'Tab');
	ok(await page("document.activeElement.className === 'skip' && document.activeElement.getBoundingClientRect().left >= 0"), 'the first Tab shows a way past the links');
	await press(page, 'Tab');
	await press(page, 'Enter');
	ok(await page("location.hash === document.querySelector('nav a').hash"), 'Enter goes to a section', await page('location.hash'));
	const open = "document.querySelector('details').open";
	const before = await page(open);

	await page("document.querySelector('summary').focus()");
	await press(page, 'Enter');
	ok(await page(open) !== before, 'and opens or closes a table');
});
await visit('arrives', async (page) => {
	ok(await page("document.querySelector('#token > p').className === 'ok' && !document.querySelector('.stop')"), 'a good token arrives');
	await faults(page, 'arrives');
});
await visit('stops', async (page) => {
	ok((await page("document.querySelector('#token > p').textContent")) === 'It stops at: expiry.', 'an expired token stops where it expires');
	ok(await page("document.querySelectorAll('.stop').length === 1"), 'and the picture shows it, once');
	await faults(page, 'stops');
	await look(page, 1000, 'light');
	if (REPORT_PICTURES) {
		const clip = await page("(({ x, y, width, height }) => ({ x, y: y + scrollY, width, height, scale: 0.75 }))(document.querySelector('#token').getBoundingClientRect())");
		const { data } = await page.send('Page.captureScreenshot', { format: 'png', captureBeyondViewport: true, clip });

		writeFileSync(`${REPORT_PICTURES}/report-token.png`, Buffer.from(data, 'base64'));
	}
});
for (const name of ['hostile', 'way']) {
	await visit(name, async (page) => {
		ok((await page("document.body.textContent")).includes('<script>document.title="x"</script><img src=x>"\'&'), `${name}: the hostile names are there, as text`);
		await faults(page, name);
	});
}
