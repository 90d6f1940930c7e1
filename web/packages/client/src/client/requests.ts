/** What a face asks the API for, by way of the core: account, people, groups. */
import type * as api from "../api.js";
import { ClientFailure, require } from "../failure.js";
import { groupOf } from "../model/conversation_id.js";
import { checkAbout, checkDisplayName, checkHandle, checkPassword, checkTitle, normaliseHandle } from "../model/text.js";
import { uniqueName } from "../names.js";
import type * as wire from "../protocol/index.js";
import type { ConversationId, UserId } from "../protocol/index.js";
import type { Port } from "../tabs/port.js";
import { type People, profileOf } from "./people.js";

/** The part of a {@link api.Client} that is requests. */
export abstract class Requests {
  protected abstract readonly port: Port;
  protected abstract readonly people: People;

  /** Asks how things stand, and shows it. */
  protected abstract attachAgain(): Promise<void>;

  // account

  async signUp({ handle, password, displayName, deviceName }: Parameters<api.Client["signUp"]>[0]): Promise<void> {
    require(checkHandle(handle) ?? checkPassword(password) ?? (displayName === undefined ? undefined : checkDisplayName(displayName)));
    const names = {
      ...(displayName === undefined ? {} : { display_name: displayName }),
      ...(deviceName === undefined ? {} : { device_name: deviceName }),
    };
    await this.port.call("sign_up", { handle: normaliseHandle(handle) ?? handle, password, ...names });
    await this.attachAgain();
  }

  async logIn({ handle, password, deviceName }: Parameters<api.Client["logIn"]>[0]): Promise<void> {
    require(checkHandle(handle));
    const name = deviceName === undefined ? {} : { device_name: deviceName };
    await this.port.call("log_in", { handle: normaliseHandle(handle) ?? handle, password, ...name });
    await this.attachAgain();
  }

  async logOut(): Promise<{ readonly lost: number }> {
    const answer = await this.port.call("log_out");
    await this.attachAgain();
    return answer;
  }

  async changePassword(current: string, next: string): Promise<void> {
    require(checkPassword(next));
    await this.request("POST", "/v1/password", { current, new: next });
  }

  async deleteAccount(password: string): Promise<void> {
    await this.port.call("delete_account", password);
    await this.attachAgain();
  }

  async devices(): Promise<readonly api.Device[]> {
    const { devices } = await this.request<wire.Devices>("GET", "/v1/devices");
    return devices.map(({ device, name, created_at, used_at, current }) => ({
      device,
      name,
      createdAt: created_at,
      usedAt: used_at,
      current,
    }));
  }

  async revokeDevice(device: string): Promise<void> {
    await this.request("DELETE", `/v1/devices/${encodeURIComponent(device)}`);
  }

  reconnect(): void {
    this.tell(this.port.call("reconnect"));
  }

  // me

  async changeProfile({ displayName, about }: { displayName?: string; about?: string }): Promise<void> {
    require(
      (displayName === undefined ? undefined : checkDisplayName(displayName)) ?? (about === undefined ? undefined : checkAbout(about)),
    );
    const change: wire.ChangeProfile = {
      ...(displayName === undefined ? {} : { display_name: displayName }),
      ...(about === undefined ? {} : { about }),
    };
    await this.request("PATCH", "/v1/profile", change);
  }

  async changeSettings({ presence, writers, readReceipts }: Partial<api.Settings>): Promise<void> {
    const change: wire.ChangeSettings = {
      ...(presence === undefined ? {} : { presence }),
      ...(writers === undefined ? {} : { writers }),
      ...(readReceipts === undefined ? {} : { read_receipts: readReceipts }),
    };
    await this.request("PATCH", "/v1/settings", change);
  }

  // people

  profile(user: UserId): api.Observable<api.Profile | undefined> {
    return this.people.profile(user);
  }

  presence(user: UserId): api.Observable<api.Presence> {
    return this.people.presence(user);
  }

  async findByHandle(handle: string): Promise<api.Profile | undefined> {
    const normal = normaliseHandle(handle);
    if (normal === undefined) return undefined;
    try {
      const profile = await this.request<wire.Profile>("GET", `/v1/handles/${normal}`);
      this.people.takeProfiles([profile]);
      return profileOf(profile);
    } catch (error) {
      if (error instanceof ClientFailure && error.code === "unknown_user") return undefined;
      throw error;
    }
  }

  searchKnown(prefix: string): readonly api.Profile[] {
    return this.people.searchKnown(prefix);
  }

  friendship(user: UserId): api.Friendship {
    return this.people.friendship(user);
  }

  async requestFriend(user: UserId): Promise<api.Friendship> {
    return (await this.request<wire.Friendship>("POST", `/v1/friends/${user}`)).state;
  }

  async acceptFriend(user: UserId): Promise<void> {
    await this.request("POST", `/v1/friends/${user}/accept`);
  }

  async removeFriend(user: UserId): Promise<void> {
    await this.request("DELETE", `/v1/friends/${user}`);
  }

  async block(user: UserId): Promise<void> {
    await this.request("PUT", `/v1/blocks/${user}`);
  }

  async unblock(user: UserId): Promise<void> {
    await this.request("DELETE", `/v1/blocks/${user}`);
  }

  // groups

  async createGroup({ title, members, earlierHistory }: Parameters<api.Client["createGroup"]>[0]): Promise<ConversationId> {
    require(checkTitle(title));
    // The same key again gives the same group again, should the answer be lost.
    const body: wire.CreateGroup = { title, members: [...members], earlier_history: earlierHistory ?? false, key: uniqueName() };
    return (await this.request<wire.GroupCreated>("POST", "/v1/groups", body)).conversation;
  }

  async renameGroup(conversation: ConversationId, title: string): Promise<void> {
    require(checkTitle(title));
    await this.request("PATCH", pathOf(conversation), { title });
  }

  async setEarlierHistory(conversation: ConversationId, earlierHistory: boolean): Promise<void> {
    await this.request("PATCH", pathOf(conversation), { earlier_history: earlierHistory });
  }

  async addMembers(conversation: ConversationId, members: readonly UserId[]): Promise<void> {
    await this.request("POST", `${pathOf(conversation)}/members`, { members });
  }

  async removeMember(conversation: ConversationId, user: UserId): Promise<void> {
    await this.request("DELETE", `${pathOf(conversation)}/members/${user}`);
  }

  async setRole(conversation: ConversationId, user: UserId, role: api.Role): Promise<void> {
    await this.request("PUT", `${pathOf(conversation)}/members/${user}/role`, { role });
  }

  async leaveGroup(conversation: ConversationId): Promise<void> {
    await this.request("POST", `${pathOf(conversation)}/leave`);
  }

  protected async request<T = void>(method: string, path: string, body?: unknown): Promise<T> {
    return (await this.port.call("request", body === undefined ? { method, path } : { method, path, body })) as T;
  }

  /** For what has no answer that anybody waits for: it is said again in time, or does not matter. */
  protected tell(answer: Promise<unknown>): void {
    answer.catch(() => undefined);
  }
}

function pathOf(conversation: ConversationId): string {
  const group = groupOf(conversation);
  if (group === undefined) throw new ClientFailure("not_a_group", "that can be done in a group only, this is a direct conversation");
  return `/v1/groups/${group}`;
}
