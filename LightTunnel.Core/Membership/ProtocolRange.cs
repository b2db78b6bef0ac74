namespace LightTunnel.Membership;

/// <summary>
/// The versions of the control protocol that somebody speaks. Messages and fields are added without a new one; a new one says that what is
/// known has another meaning.
/// </summary>
/// <param name="Oldest">The oldest.</param>
/// <param name="Newest">The newest.</param>
internal readonly record struct ProtocolRange(int Oldest, int Newest)
{
    /// <summary>What this version of the software speaks.</summary>
    public static ProtocolRange Own => new(1, 1);

    /// <summary>True for a version that is spoken.</summary>
    public bool Contains(int version) => version >= Oldest && version <= Newest;

    /// <summary>The newest version that a client and a server both speak; false when there is none.</summary>
    public static bool TryAgree(ProtocolRange server, ProtocolRange client, out int version)
    {
        version = Math.Min(server.Newest, client.Newest);
        return server.Contains(version) && client.Contains(version);
    }

    /// <summary>Why a client and a server do not understand each other, and which of them is the older one.</summary>
    public static string Mismatch(ProtocolRange server, ProtocolRange client) =>
        $"The client speaks protocol {client}, the server {server}: the {(client.Newest < server.Oldest ? "client" : "server")} is older.";

    /// <inheritdoc/>
    public override string ToString() => Oldest == Newest ? $"{Newest}" : $"{Oldest} to {Newest}";
}
