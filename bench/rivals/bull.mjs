// The BullMQ rivals. `node bull.mjs publish` adds a job for each mail, `node bull.mjs work` sends them until SIGTERM.
// Environment: BENCH_DATABASE (host, name and user as JSON), BENCH_REDIS and BENCH_PORT (ports), BENCH_THREADS (jobs at
// once), BENCH_RIVAL (short or gated), BENCH_ETA (1: each job is delayed until its mail's time).
import { randomUUID } from "node:crypto";
import net from "node:net";
import { Readable } from "node:stream";

import { Queue, Worker } from "bullmq";
import nodemailer from "nodemailer";
import pg from "pg";

import { Gated, Short } from "./moves.mjs";

const redis = { host: "127.0.0.1", port: Number(process.env.BENCH_REDIS), maxRetriesPerRequest: null };
const port = Number(process.env.BENCH_PORT);
const concurrency = Number(process.env.BENCH_THREADS);
const pool = new pg.Pool({ ...JSON.parse(process.env.BENCH_DATABASE), max: concurrency });
const rival = process.env.BENCH_RIVAL;
const moves = rival === "short" ? new Short(pool) : new Gated(pool, 1000);
const table = { short: "mail", gated: "campaign_email_queue" }[rival];
const composer = nodemailer.createTransport({ streamTransport: true, buffer: true, newline: "windows" });

const filled = (template, fields) => template.replace(/\{\{ (\w+) \}\}/g, (_, name) => fields[name]);

async function compose(mail) {
  const made = await composer.sendMail({
    from: { name: "Ola", address: mail.sender },
    to: mail.recipient,
    subject: filled(mail.subject, mail.fields),
    messageId: mail.message_id,
    text: filled(mail.text, mail.fields),
  });
  return made.message;
}

async function send(job) {
  const { id } = job.data;
  const token = randomUUID();
  const mail = await moves.claim(id, token);
  if (mail === null) return;
  if (mail.wait !== undefined) {
    await queue.add("send", { id }, { delay: mail.wait * 1000, removeOnComplete: true });
    return;
  }
  const content = await compose(mail);
  // nodemailer writes the final dot when this stream ends: the hand-over is committed before.
  async function* body() {
    yield content;
    if (!(await moves.handOver(id, token, content))) throw new Error("the hand-over was refused");
  }
  const connection = net.connect({ host: "127.0.0.1", port, noDelay: true });
  await new Promise((resolve, reject) => connection.once("connect", resolve).once("error", reject));
  const transport = nodemailer.createTransport({ connection, secure: false, ignoreTLS: true, name: "sender.example" });
  try {
    const envelope = { from: mail.sender, to: mail.recipient };
    const answer = await transport.sendMail({ envelope, raw: Readable.from(body()) });
    await moves.accept(id, token, answer.response);
  } catch (error) {
    connection.destroy();
    await moves.release(id, token, String(error.message));
  }
}

const queue = new Queue("bench", { connection: redis });
if (process.argv[2] === "publish") {
  const { rows } = await pool.query(
    `SELECT id, extract(epoch FROM scheduled_at)::float * 1000 AS at FROM ${table} ORDER BY scheduled_at, id`);
  const now = Date.now();
  const jobs = rows.map(({ id, at }) => {
    const delay = process.env.BENCH_ETA === "1" ? Math.max(0, at - now) : 0;
    return { name: "send", data: { id }, opts: { delay, removeOnComplete: true } };
  });
  for (let first = 0; first < jobs.length; first += 500) await queue.addBulk(jobs.slice(first, first + 500));
  await queue.close();
  await pool.end();
} else {
  const worker = new Worker("bench", send, { connection: redis, concurrency });
  worker.on("failed", (job, error) => console.error("failed", job?.id, error));
  worker.on("error", (error) => console.error(error));
  process.on("SIGTERM", async () => {
    await worker.close();
    process.exit(0);
  });
}
