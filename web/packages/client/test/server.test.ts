/** The client against the real server. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Client, Message, TimelineState } from "../src/index.js";
import { Browser, until } from "./browser.js";
import { isBuilt, Server } from "./server.js";

const password = "correct horse";
const texts = (state: TimelineState) => state.items.flatMap((item) => (item.kind === "message" ? [item.text] : []));
const message = (state: TimelineState, text: string) =>
  state.items.find((item): item is Message => item.kind === "message" && item.text === text);
const synced = (client: Client) => until(client.connection, (one) => one.state === "online" && one.synced, "in sync");

describe.skipIf(!isBuilt)("with a server", () => {
  let server: Server;
  const clients: Client[] = [];
  let names = 0;

  beforeAll(async () => {
    server = await Server.start();
  });

  afterAll(async () => {
    for (const client of clients) await client.close();
    await server.remove();
  });

  async function open(browser: Browser): Promise<Client> {
    const client = await browser.tab();
    clients.push(client);
    return client;
  }

  /** Somebody new in a browser of their own, in sync. */
  async function somebody(browser = new Browser(server.base)): Promise<{ client: Client; browser: Browser; user: string; handle: string }> {
    const client = await open(browser);
    names += 1;
    const handle = `user_${names}`;
    await client.signUp({ handle: `@${handle.toUpperCase()}`, password, displayName: `User ${names}` });
    await synced(client);
    const { value } = client.account;
    if (value.state !== "signed_in") throw new Error("nobody is logged in");
    return { client, browser, user: value.user, handle };
  }

  test("two people find each other and chat, with everything that messages can have", async () => {
    const [ada, bob] = [await somebody(), await somebody()];
    expect((await ada.client.findByHandle(`@${bob.handle}`))?.user).toBe(bob.user);
    expect(await ada.client.findByHandle("nobody_at_all")).toBeUndefined();
    const direct = ada.client.directWith(bob.user);
    const [here, there] = [ada.client.openTimeline(direct), bob.client.openTimeline(direct)];
    const incoming: string[] = [];
    bob.client.onIncoming((one) => incoming.push(`${one.message.text} ${one.mentioned}`));

    await ada.client.send(direct, `hello @${bob.handle} 😀`);
    const seen = await until(there.state, (state) => texts(state).length === 1, "the first message");
    const first = seen.items[0] as Message;
    expect(first.mentions).toEqual([{ user: bob.user, start: 6, length: bob.handle.length + 1 }]);
    expect(incoming).toEqual([`hello @${bob.handle} 😀 true`]);
    const listed = await until(bob.client.conversations, (list) => list[0]?.unread === 1, "an unread message");
    expect(listed[0]).toMatchObject({ id: direct, kind: "direct", peer: ada.user, mentions: 1, unread: 1 });
    await until(here.state, (state) => (state.items[0] as Message)?.status === "delivered", "delivered");
    bob.client.markRead(direct, first.seq ?? 0);
    await until(here.state, (state) => (state.items[0] as Message)?.status === "read", "read");
    await until(bob.client.unread, (unread) => unread.messages === 0, "nothing unread");

    bob.client.typing(direct);
    await until(ada.client.conversation(direct), (one) => one?.typing.includes(bob.user) === true, "typing");
    await bob.client.send(direct, "hi", first.seq);
    const answered = await until(here.state, (state) => texts(state).includes("hi"), "the answer");
    expect(message(answered, "hi")?.replyTo).toBe(first.seq);
    expect((await bob.client.message(direct, first.seq ?? 0))?.text).toContain("hello");
    await bob.client.react(direct, first.seq ?? 0, "👍", true);
    await until(here.state, (state) => (state.items[0] as Message).reactions[0]?.users[0] === bob.user, "a reaction");
    await ada.client.edit(direct, first.seq ?? 0, "hello again");
    const edited = await until(there.state, (state) => (state.items[0] as Message).text === "hello again", "an edit");
    expect((edited.items[0] as Message).editedAt).toBeGreaterThan(0);
    await bob.client.redact(direct, message(answered, "hi")?.seq ?? 0);
    await until(here.state, (state) => (state.items[1] as Message).redacted, "a redaction");

    await ada.client.edit(direct, 2, "not mine");
    const failed = await until(
      here.state,
      (state) => (state.items[1] as Message).changes.some((one) => one.status === "failed"),
      "a refusal",
    );
    const change = (failed.items[1] as Message).changes[0];
    expect(change?.refusal?.code).toMatch(/not_your_message|message_redacted/);
    await ada.client.discard(direct, change?.tag ?? 0);
    await until(here.state, (state) => (state.items[1] as Message).changes.length === 0, "forgotten");
    await expect(ada.client.send(direct, " ")).rejects.toMatchObject({ code: "text_empty" });
    await ada.client.send(direct, "x".repeat(100_000));
    await until(there.state, (state) => texts(state).at(-1)?.length === 100_000, "a long text");
  });

  test("friends, blocks, presence, profile and settings", async () => {
    const [ada, bob] = [await somebody(), await somebody()];
    expect(await ada.client.requestFriend(bob.user)).toBe("requested");
    await until(bob.client.friends, (friends) => friends.incoming[0]?.user === ada.user, "a request");
    expect(bob.client.friendship(ada.user)).toBe("asked_me");
    await bob.client.acceptFriend(ada.user);
    await until(ada.client.friends, (friends) => friends.friends[0]?.user === bob.user, "a friend");
    await until(ada.client.presence(bob.user), (presence) => presence.state === "online", "online");
    await bob.client.changeProfile({ about: "at sea" });
    await until(bob.client.me, (me) => me?.about === "at sea", "the own profile");
    await bob.client.changeSettings({ readReceipts: false });
    await until(bob.client.settings, (settings) => settings?.readReceipts === false, "the settings");
    expect(ada.client.searchKnown(`@${bob.handle}`).map((profile) => profile.user)).toEqual([bob.user]);
    await bob.client.block(ada.user);
    await until(bob.client.blocked, (blocked) => blocked[0]?.user === ada.user, "blocked");
    await until(bob.client.friends, (friends) => friends.friends.length === 0, "no friends any more");
    const direct = ada.client.directWith(bob.user);
    const timeline = ada.client.openTimeline(direct);
    const tag = await ada.client.send(direct, "let me in");
    const failed = await until(timeline.state, (state) => (state.items[0] as Message)?.status === "failed", "a refusal");
    expect((failed.items[0] as Message).refusal?.code).toBe("may_not_write");
    expect(ada.client.conversation(direct).value?.failed).toBe(1);
    await bob.client.unblock(ada.user);
    await ada.client.tryAgain(direct, tag);
    await until(timeline.state, (state) => ["sent", "delivered"].includes((state.items[0] as Message)?.status), "sent at last");
    expect(timeline.state.value.items.length).toBe(1);
  });

  test("a group: members, roles, title, leaving, and who may do what", async () => {
    const [ada, bob, eve] = [await somebody(), await somebody(), await somebody()];
    const group = await ada.client.createGroup({ title: "Boat", members: [bob.user] });
    const mine = ada.client.conversation(group);
    await until(mine, (one) => one?.members.length === 2, "the group");
    expect(mine.value?.may).toMatchObject({ rename: true, changeRoles: true, leave: true });
    const theirs = bob.client.conversation(group);
    await until(theirs, (one) => one?.title === "Boat", "the title");
    expect(theirs.value?.may).toMatchObject({ write: true, rename: false, addMembers: false });
    await expect(bob.client.renameGroup(group, "Ship")).rejects.toMatchObject({ code: "not_permitted" });
    await ada.client.setRole(group, bob.user, "admin");
    await until(theirs, (one) => one?.role === "admin" && one.may.rename, "an admin");
    await bob.client.renameGroup(group, "Ship");
    await bob.client.addMembers(group, [eve.user]);
    await until(mine, (one) => one?.title === "Ship" && one.members.length === 3, "renamed, and one more");
    await ada.client.send(group, "all here?");
    const timeline = ada.client.openTimeline(group);
    await until(eve.client.conversation(group), (one) => one?.lastMessage?.text === "all here?", "a message for the newcomer");
    const own = await until(timeline.state, (state) => message(state, "all here?")?.seq !== undefined, "its place");
    const seq = message(own, "all here?")?.seq ?? 0;
    await until(bob.client.conversation(group), (one) => one?.headSeq === seq, "the message for the other");
    eve.client.markRead(group, seq);
    bob.client.markRead(group, seq);
    await until(timeline.state, (state) => message(state, "all here?")?.status === "read", "read by all");
    expect((await ada.client.readBy(group, seq)).read.toSorted()).toEqual([bob.user, eve.user].toSorted());
    await bob.client.removeMember(group, eve.user);
    await until(eve.client.conversation(group), (one) => one?.member === false && !one.may.write, "out");
    await bob.client.leaveGroup(group);
    const state = await until(timeline.state, (one) => one.items.at(-1)?.kind === "notice" && one.items.length === 7, "all notices");
    const kinds = state.items.map((item) => (item.kind === "notice" ? item.what.kind : item.kind));
    expect(kinds).toEqual(["group_created", "role_changed", "title_changed", "members_added", "message", "member_removed", "member_left"]);
  });

  test("history on another device: newest first, then back, by place and by date", async () => {
    const [ada, bob] = [await somebody(), await somebody()];
    const direct = ada.client.directWith(bob.user);
    for (let number = 1; number <= 500; number += 1) await ada.client.send(direct, `message ${number}`);
    await until(ada.client.conversation(direct), (one) => one?.headSeq === 500 && one.sending === 0, "all stored");
    const client = await open(new Browser(server.base));
    await client.logIn({ handle: bob.handle, password, deviceName: "tablet" });
    await synced(client);
    expect(client.conversations.value[0]?.lastMessage?.text).toBe("message 500");
    expect((await client.devices()).map((device) => device.name)).toContain("tablet");
    const timeline = client.openTimeline(direct);
    let state = await until(timeline.state, (one) => texts(one).at(-1) === "message 500", "the end");
    expect(state).toMatchObject({ to: 500, headSeq: 500, atEnd: true, atStart: false });
    while (!timeline.state.value.atStart) await timeline.loadBefore();
    state = timeline.state.value;
    expect(texts(state)[0]).toBe("message 1");
    expect(state.items.length, "the other end was let go").toBeLessThanOrEqual(400);
    expect(state.atEnd).toBe(false);
    expect(texts(state)).toEqual(texts(state).map((_, index) => `message ${index + 1}`));
    while (!timeline.state.value.atEnd) await timeline.loadAfter();
    expect(texts(timeline.state.value).at(-1)).toBe("message 500");
    expect(await timeline.jump(250)).toBe(250);
    expect(timeline.state.value.target?.seq).toBe(250);
    expect(message(timeline.state.value, "message 250")).toBeDefined();
    await ada.client.send(direct, "news");
    await until(timeline.state, (one) => one.below === 1, "one more below");
    const at = message(timeline.state.value, "message 251")?.at ?? 0;
    const found = await timeline.jumpToDate(at);
    expect((await client.message(direct, found))?.at).toBe(at);
    expect((await client.message(direct, found - 1))?.at).toBeLessThan(at);
    await timeline.jumpToEnd();
    expect(texts(timeline.state.value).at(-1)).toBe("news");
    expect(timeline.state.value.below).toBe(0);
  });

  test("what is written while the server is away is sent by the next tab, once and in order", async () => {
    const [ada, bob] = [await somebody(), await somebody()];
    const direct = ada.client.directWith(bob.user);
    await ada.client.send(direct, "before");
    await until(bob.client.conversations, (list) => list[0]?.lastMessage?.text === "before", "the first");
    await server.stop("SIGKILL");
    await until(ada.client.connection, (one) => one.state === "waiting", "no server");
    const timeline = ada.client.openTimeline(direct);
    await ada.client.send(direct, "one");
    const last = await ada.client.send(direct, "never mind");
    await ada.client.send(direct, "two");
    await until(timeline.state, (state) => texts(state).join() === "before,one,never mind,two", "shown at once");
    expect(await ada.client.cancel(direct, last)).toBe(true);
    ada.client.setDraft(direct, { text: "and th" });
    await ada.client.close();
    const next = await open(ada.browser);
    expect(next.conversations.value[0]).toMatchObject({
      sending: 2,
      draft: { text: "and th" },
      lastMessage: { text: "two", status: "sending" },
    });
    const again = next.openTimeline(direct);
    await until(again.state, (state) => texts(state).join() === "before,one,two", "from this device, offline");
    await server.run();
    next.reconnect();
    bob.client.reconnect();
    await until(again.state, (state) => state.items.every((item) => item.kind === "message" && item.seq !== undefined), "stored");
    const theirs = bob.client.openTimeline(direct);
    await until(theirs.state, (state) => texts(state).join() === "before,one,two", "once and in order");
  });

  test("a server that restarts says so, and clients come back by themselves", async () => {
    const [ada, bob] = [await somebody(), await somebody()];
    const direct = ada.client.directWith(bob.user);
    const timeline = bob.client.openTimeline(direct);
    const restarting = until(ada.client.connection, (one) => one.state === "waiting" && one.reason === "restarting", "restarting");
    await server.stop("SIGTERM");
    await restarting;
    await server.run();
    await ada.client.send(direct, "back again");
    await until(timeline.state, (state) => texts(state).join() === "back again", "through the new server");
    expect(ada.client.connection.value).toMatchObject({ state: "online", transport: "websocket" });
  });

  test("long polling where WebSocket is blocked", async () => {
    class Blocked extends EventTarget {
      readonly readyState = 3;
      onclose: ((event: CloseEvent) => void) | null = null;
      constructor() {
        super();
        setTimeout(() => this.onclose?.({ code: 1006, reason: "" } as CloseEvent), 5);
      }
      close(): void {}
    }
    const WebSocket = Blocked as unknown as new (url: string) => WebSocket;
    const [ada, bob] = [await somebody(new Browser(server.base, { WebSocket })), await somebody()];
    expect(ada.client.connection.value).toMatchObject({ state: "online", transport: "polling" });
    expect(bob.client.connection.value).toMatchObject({ state: "online", transport: "websocket" });
    const direct = ada.client.directWith(bob.user);
    for (let number = 0; number < 30; number += 1) await ada.client.send(direct, `polled ${number}`);
    await until(bob.client.conversations, (list) => list[0]?.lastMessage?.text === "polled 29", "out");
    await bob.client.send(direct, "back");
    await until(ada.client.conversations, (list) => list[0]?.lastMessage?.text === "back", "in");
  });

  test("tabs share one session, and another leads when the leading one closes", async () => {
    const [ada, bob] = [await somebody(), await somebody()];
    const [first, second] = [ada.client, await open(ada.browser)];
    expect(second.account.value).toEqual(first.account.value);
    const direct = second.directWith(bob.user);
    const timeline = second.openTimeline(direct);
    await second.send(direct, "from the second tab");
    await until(first.conversations, (list) => list[0]?.lastMessage?.seq === 1, "seen in the first");
    expect((await bob.client.devices()).length).toBe(1);
    second.setDraft(direct, { text: "dra" });
    await until(first.conversation(direct), (one) => one?.draft?.text === "dra", "the draft in the other tab");
    const incoming: string[] = [];
    second.onIncoming((one) => incoming.push(one.message.text));
    // Not waited for: what is asked meanwhile is answered by the next leader.
    const closing = first.close();
    const sent = second.send(direct, "during the change");
    await closing;
    expect(await sent).toBe(2);
    await synced(second);
    await bob.client.send(direct, "still there?");
    await until(timeline.state, (state) => texts(state).join() === "from the second tab,during the change,still there?", "all of it, once");
    expect(incoming).toEqual(["still there?"]);
  });

  test("opened at the first unread message, in the middle of a log", async () => {
    const [ada, bob] = [await somebody(), await somebody()];
    const direct = ada.client.directWith(bob.user);
    for (let number = 1; number <= 300; number += 1) await ada.client.send(direct, `message ${number}`);
    await until(bob.client.conversation(direct), (one) => one?.unread === 300, "all unread");
    const fresh = bob.client.openTimeline(direct, { at: "unread" });
    await until(fresh.state, (state) => state.firstUnread === 1 && !state.atEnd, "the first of all");
    bob.client.markRead(direct, 100);
    await until(bob.client.conversation(direct), (one) => one?.unread === 200 && one.readSeq === 100, "a part read");
    const timeline = bob.client.openTimeline(direct, { at: "unread" });
    const state = await until(timeline.state, (one) => one.firstUnread !== undefined, "the first unread");
    expect(state.firstUnread).toBe(101);
    expect(state).toMatchObject({ atStart: false, atEnd: false });
    expect([state.from <= 100, state.to >= 101]).toEqual([true, true]);
    await timeline.jumpToEnd();
    expect(timeline.state.value).toMatchObject({ atEnd: true, firstUnread: 101 });
    bob.client.markRead(direct, 300);
    await until(bob.client.unread, (unread) => unread.messages === 0, "nothing unread");
  });

  test("whatever is killed, each message is there once and in its writer's order", async () => {
    const ada = await somebody();
    const bob = await somebody();
    const direct = ada.client.directWith(bob.user);
    let tab = ada.client;
    const expected: Record<string, string[]> = { ada: [], bob: [] };
    for (let round = 0; round < 4; round += 1) {
      const next = await open(ada.browser);
      for (let number = 0; number < 25; number += 1) {
        const [one, other] = [`ada ${round}.${number}`, `bob ${round}.${number}`];
        expected.ada?.push(one);
        expected.bob?.push(other);
        // The leading tab is closed and the server killed while some of them are under way.
        const sent = [(number % 2 === 0 ? tab : next).send(direct, one), bob.client.send(direct, other)];
        if (number === 12) await Promise.all([server.stop("SIGKILL"), ...sent]);
        else await Promise.all(sent);
      }
      const closing = tab.close();
      await server.run();
      await closing;
      tab = next;
    }
    for (const client of [tab, bob.client]) {
      client.reconnect();
      const list = client.conversation(direct);
      await until(list, (one) => one?.headSeq === 200 && one.sending === 0 && one.failed === 0, "everything stored", 40_000);
      const timeline = client.openTimeline(direct);
      await until(timeline.state, (state) => state.to === 200 && !state.loading.jump, "the end");
      while (!timeline.state.value.atStart) await timeline.loadBefore();
      const all = texts(timeline.state.value);
      for (const [who, own] of Object.entries(expected)) expect(all.filter((text) => text.startsWith(who))).toEqual(own);
      timeline.close();
    }
  });

  test("a login that is revoked elsewhere, and one that is ended here", async () => {
    const ada = await somebody();
    const other = await open(new Browser(server.base));
    await expect(other.logIn({ handle: ada.handle, password: "wrong horse" })).rejects.toMatchObject({ code: "wrong_credentials" });
    await other.logIn({ handle: ada.handle, password });
    await synced(other);
    const { value } = other.account;
    await ada.client.revokeDevice(value.state === "signed_in" ? value.device : "");
    const out = await until(other.account, (account) => account.state === "signed_out", "signed out");
    expect(out).toMatchObject({ state: "signed_out", reason: { kind: "revoked" } });
    expect(other.conversations.value).toEqual([]);
    await expect(other.send("d.1.2", "x")).rejects.toMatchObject({ code: "not_logged_in" });
    await ada.client.changePassword(password, "another horse");
    expect(await ada.client.logOut()).toEqual({ lost: 0 });
    expect(ada.client.account.value).toMatchObject({ state: "signed_out", reason: { kind: "logged_out" } });
    await ada.client.logIn({ handle: ada.handle, password: "another horse" });
    await ada.client.deleteAccount("another horse");
    expect(ada.client.account.value).toMatchObject({ state: "signed_out", reason: { kind: "deleted" } });
    expect(await other.findByHandle(ada.handle).catch((error) => error.code)).toBe("not_logged_in");
  });
});
