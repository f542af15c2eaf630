// What the BullMQ rivals do to a mail's rows: the same statements as the Celery rivals, prepared once a connection.
import { readFileSync } from "node:fs";
import os from "node:os";

const FIELD_DEFAULTS = JSON.parse(process.env.BENCH_LETTER ?? "{}"); // subject and text of the short rivals' letter
const WAITS = new Set(["early", "busy", "gap", "pace", "host"]);

function statements(file) {
  const text = readFileSync(new URL(file, import.meta.url), "utf8");
  const [, ...parts] = text.split(/^-- name: (\w+)$/m);
  return Object.fromEntries(parts.flatMap((part, n) => (n % 2 ? [] : [[part, parts[n + 1]]])));
}

class Moves {
  constructor(pool, file) {
    this.pool = pool;
    this.statements = statements(file);
  }

  async transaction(work) {
    const client = await this.pool.connect();
    const run = async (name, ...values) =>
      (await client.query({ name, text: this.statements[name], values })).rows[0] ?? null;
    try {
      await client.query("BEGIN");
      const done = await work(run);
      await client.query("COMMIT");
      return done;
    } catch (error) {
      await client.query("ROLLBACK");
      throw error;
    } finally {
      client.release();
    }
  }
}

export class Short extends Moves {
  constructor(pool) {
    super(pool, "short_moves.sql");
  }

  claim(id, token) {
    return this.transaction(async (run) => {
      const mail = await run("claim", id, token);
      if (mail === null) return null;
      await run("history", id, "claim", token, null);
      return { ...FIELD_DEFAULTS, ...mail };
    });
  }

  handOver(id, token) {
    return this.transaction(async (run) => {
      if ((await run("hand_over", id, token)) === null) return false;
      await run("history", id, "hand_over", token, null);
      return true;
    });
  }

  accept(id, token, reply) {
    return this.transaction(async (run) => {
      if ((await run("accept", id, token)) !== null) await run("history", id, "accept", token, reply);
    });
  }

  async release(id, token, reason) {
    throw new Error(`mail ${id} was not accepted: ${reason}`);
  }
}

export class Gated extends Moves {
  constructor(pool, atOnceToAHost) {
    super(pool, "gated.sql");
    this.atOnce = atOnceToAHost;
    this.worker = [os.hostname(), process.pid, Date.now() / 1000 - process.uptime()];
  }

  claim(id, token) {
    return this.transaction(async (run) => {
      for (const lock of ["lock_campaign", "lock_mailbox", "lock_host"]) await run(lock, id);
      const { closed, seconds } = (await run("claim_gate", id, this.atOnce)) ?? { closed: "stale" };
      if (closed !== null) return WAITS.has(closed) ? { wait: Math.min(Math.max(seconds, 0.05), 2) } : null;
      return run("claim", id, token, ...this.worker);
    });
  }

  handOver(id, token, content) {
    return this.transaction(async (run) => {
      for (const lock of ["lock_campaign", "lock_mailbox", "lock_email"]) await run(lock, id);
      const { closed } = (await run("hand_over_gate", id, token)) ?? { closed: "stale" };
      return closed === null && (await run("hand_over", id, token, content)) !== null;
    });
  }

  accept(id, token, reply) {
    return this.transaction(async (run) => {
      await run("lock_email", id);
      await run("accept", id, token, reply);
    });
  }

  release(id, token, reason) {
    return this.transaction(async (run) => {
      await run("lock_email", id);
      await run("release", id, token, reason);
    });
  }
}
