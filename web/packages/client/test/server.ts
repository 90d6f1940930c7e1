/** A real server in a folder of its own: the binary `banter`, built with `cargo build -p banter-server`. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const binary = process.env.BANTER_BINARY ?? fileURLToPath(new URL("../../../../target/debug/banter", import.meta.url));

/** Is the binary there? Tests that need it are skipped otherwise, unless `BANTER_BINARY` says where it should be. */
export const isBuilt = process.env.BANTER_BINARY !== undefined || existsSync(binary);

export class Server {
  base = "";
  private child: ChildProcess | undefined;
  private readonly folder = mkdtempSync(join(tmpdir(), "banter-web-"));

  static async start(): Promise<Server> {
    const server = new Server();
    await server.run("127.0.0.1:0");
    return server;
  }

  /** Starts it, again at the same address if it ran before. */
  async run(listen = new URL(this.base).host): Promise<void> {
    const arguments_ = [
      "serve",
      "--data",
      this.folder,
      "--listen",
      listen,
      "--unlimited",
      "--presence-grace-ms",
      "200",
      "--reserve-mib",
      "0",
    ];
    const child = spawn(binary, arguments_, { stdio: ["ignore", "pipe", "pipe"] });
    this.child = child;
    this.base = await new Promise((resolve, reject) => {
      const lines = [child.stdout, child.stderr].map((stream) => createInterface({ input: stream as NodeJS.ReadableStream }));
      for (const line of lines) {
        line.on("line", (text) => {
          const found = /https?:\/\/[0-9.]+:\d+/.exec(text);
          if (found !== null) resolve(found[0]);
        });
      }
      child.on("exit", (code) => reject(new Error(`the server ended with ${code}`)));
      child.on("error", reject);
    });
  }

  /** Ends it: in good order, or at once. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    const { child } = this;
    if (child === undefined || child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    await ended;
  }

  async remove(): Promise<void> {
    await this.stop("SIGKILL");
    rmSync(this.folder, { recursive: true, force: true });
  }
}
