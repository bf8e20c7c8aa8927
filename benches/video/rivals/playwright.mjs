// Playwright's recordVideo, as its documentation shows it, at the size of the window.
import { chromium } from 'playwright-core';
import { serve } from './orders.mjs';

const size = { width: 1280, height: 720 };
let browser;
let pages = [];

await serve({
  async start({ browser: executablePath, args }) {
    browser = await chromium.launch({ executablePath, args });
  },
  async open({ urls, record, folder }) {
    for (const url of urls) {
      const recordVideo = record ? { dir: folder, size } : undefined;
      const context = await browser.newContext({ viewport: size, recordVideo });
      const page = await context.newPage();
      await page.goto(url, { waitUntil: 'load' });
      pages.push(page);
    }
  },
  async stop() {
    const closing = pages.map(async (page) => {
      const video = page.video();
      await page.context().close();
      return video ? await video.path() : null;
    });
    pages = [];
    return { files: await Promise.all(closing) };
  },
  async shots({ urls, folder }) {
    const context = await browser.newContext({ viewport: size });
    const page = await context.newPage();
    for (const [at, url] of urls.entries()) {
      await page.goto(url, { waitUntil: 'load' });
      await page.screenshot({ path: `${folder}/${at}.png`, caret: 'initial' });
    }
    await context.close();
  },
  async close() {
    await browser.close();
  },
});
