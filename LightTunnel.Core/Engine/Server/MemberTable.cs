using LightTunnel.Engine.Control;

namespace LightTunnel.Engine.Server;

/// <summary>
/// Members by id, for relaying. Ids are small and given in sequence, so this is an array: the control loop writes single
/// references, data threads read them.
/// </summary>
internal sealed class MemberTable
{
    private volatile Peer?[] _members = new Peer?[64];

    /// <summary>The member of that id, or null; any thread.</summary>
    public Peer? Find(uint id)
    {
        Peer?[] members = _members;
        return id < (uint)members.Length ? Volatile.Read(ref members[id]) : null;
    }

    /// <summary>Enters or, with null, removes a member; control loop.</summary>
    public void Set(uint id, Peer? member)
    {
        Peer?[] members = _members;
        if (id >= (uint)members.Length)
        {
            if (member is null)
                return;
            Peer?[] larger = new Peer?[(int)Math.Max(id + 1, (uint)members.Length * 2)];
            members.CopyTo(larger, 0);
            larger[id] = member;
            _members = larger;
            return;
        }

        Volatile.Write(ref members[id], member);
    }
}
