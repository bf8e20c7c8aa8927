// Puppeteer's page.screencast with its own defaults: WebM, VP9, 30 pictures a second.
import puppeteer from 'puppeteer-core';
import { serve } from './orders.mjs';

const defaultViewport = { width: 1280, height: 720 };
let browser;
let pages = [];

await serve({
  async start({ browser: executablePath, args }) {
    const headless = executablePath.includes('headless') ? 'shell' : true;
    browser = await puppeteer.launch({ executablePath, args, headless, defaultViewport });
  },
  async open({ urls, record, folder }) {
    for (const [at, url] of urls.entries()) {
      const context = await browser.createBrowserContext();
      const page = await context.newPage();
      await page.goto(url, { waitUntil: 'load' });
      const path = `${folder}/${at}.webm`;
      const recorder = record ? await page.screencast({ path }) : null;
      pages.push({ context, recorder, path });
    }
  },
  async stop() {
    const stopping = pages.map(async ({ context, recorder, path }) => {
      await recorder?.stop();
      await context.close();
      return recorder ? path : null;
    });
    pages = [];
    return { files: await Promise.all(stopping) };
  },
  async shots({ urls, folder }) {
    const page = await browser.newPage();
    for (const [at, url] of urls.entries()) {
      await page.goto(url, { waitUntil: 'load' });
      await page.screenshot({ path: `${folder}/${at}.png` });
    }
    await page.close();
  },
  async close() {
    await browser.close();
  },
});
