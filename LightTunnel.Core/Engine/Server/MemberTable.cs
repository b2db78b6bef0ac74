using LightTunnel.Engine.Data;

namespace LightTunnel.Engine.Server;

/// <summary>
/// Members by id, for relaying. Ids are small and given in sequence, so this is an array: the control loop writes single
/// references, data threads read them.
/// </summary>
internal sealed class MemberTable
{
    private volatile RouteTarget?[] _members = new RouteTarget?[64];

    /// <summary>The member of that id, or null; any thread.</summary>
    public RouteTarget? Find(uint id)
    {
        RouteTarget?[] members = _members;
        return id < (uint)members.Length ? Volatile.Read(ref members[id]) : null;
    }

    /// <summary>Enters or, with null, removes a member; control loop.</summary>
    public void Set(uint id, RouteTarget? member)
    {
        RouteTarget?[] members = _members;
        if (id >= (uint)members.Length)
        {
            if (member is null)
                return;
            RouteTarget?[] larger = new RouteTarget?[(int)Math.Max(id + 1, (uint)members.Length * 2)];
            members.CopyTo(larger, 0);
            larger[id] = member;
            _members = larger;
            return;
        }

        Volatile.Write(ref members[id], member);
    }
}
