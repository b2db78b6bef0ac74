using LightTunnel.Membership.Store;
using LightTunnel.Traversal;

namespace LightTunnel.Tests.Simulation;

/// <summary>How large a table of a node may be.</summary>
internal static class TableLimits
{
    /// <summary>The limit of the collection in that field ("Type.field") in a network of so many members.</summary>
    public static int Of(string name, int members) => name switch
    {
        // A plan with guesses, and what it waits for.
        "PunchPlan.<Shots>k__BackingField" => (2 * PunchPlan.BirthdaySockets) + 64,
        "OutstandingProbes._waiting" or "OutstandingProbes._order" => PunchPlan.MaximumGuesses + 256,

        // Ports are guessed for four members at once, at most, some of whom are direct by then.
        "FurtherSockets._open" => (4 * PunchPlan.BirthdaySockets) + 64,
        "AttemptSockets.<Opened>k__BackingField" => PunchPlan.BirthdaySockets,

        // The directory's changes that somebody may not have heard of yet, and what a member must be told after it was away.
        "MemberDirectory._log" or "ControlChannel._waiting" => 128 + (2 * members),

        // Two keys each while they change, and one more of whoever was started again.
        "SessionIndexTable._sessions" or "SessionIndexTable._handshakes" => 8 + (3 * members),

        // Every path that is proven to anybody; behind a NAT with random ports each of a member's sockets may be one.
        "MemberRelays._direct" => 64 + (PathTable.MaximumCount * members),

        // A member, its key and its address, besides the network itself; in the store also what was deleted.
        "StoreReplica._entries" => 64 + (4 * members),
        "StoreContents._entries" or "StoreContents._deletions" => StoreContents.MostDeletions + 64 + (4 * members),

        // A few for each member.
        _ => 64 + (2 * members),
    };
}
