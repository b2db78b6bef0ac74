using System.Collections;
using System.Diagnostics.CodeAnalysis;

namespace LightTunnel.Addressing;

/// <summary>
/// Longest-prefix-match table of both families. Immutable: <see cref="With"/> and <see cref="Without"/> copy the path to the changed
/// entry and share the rest, so a data thread looks up in one snapshot while the next is being made.
/// A path-compressed binary trie: a branch has two children, or a value, or both; a lookup visits at most one node per
/// distinguishing bit, about log2 of the number of entries.
/// </summary>
/// <typeparam name="T">What a prefix leads to.</typeparam>
internal sealed class PrefixTable<T> : IReadOnlyCollection<KeyValuePair<IpPrefix, T>>
{
    /// <summary>The table without entries.</summary>
    public static readonly PrefixTable<T> Empty = new(null, null, 0);

    private readonly Node? _rootV4;
    private readonly Node? _rootV6;

    private PrefixTable(Node? rootV4, Node? rootV6, int count)
    {
        _rootV4 = rootV4;
        _rootV6 = rootV6;
        Count = count;
    }

    /// <summary>Number of prefixes.</summary>
    public int Count { get; }

    /// <summary>Finds the value of the longest prefix that contains the address.</summary>
    public bool TryLookup(TunnelAddress address, [MaybeNullWhen(false)] out T value)
    {
        ulong high = (ulong)(address.Bits >> 64);
        ulong low = (ulong)address.Bits;
        Node? node = address.IsIPv4 ? _rootV4 : _rootV6;
        Node? best = null;
        while (node is not null && (((high ^ node.High) & node.HighMask) | ((low ^ node.Low) & node.LowMask)) == 0)
        {
            if (node.HasValue)
                best = node;
            int length = node.Length;
            if (length == 128)
                break;
            ulong bit = length < 64 ? (high >> (63 - length)) & 1 : (low >> (127 - length)) & 1;
            node = bit == 0 ? node.Zero : node.One;
        }

        value = best is null ? default : best.Value;
        return best is not null;
    }

    /// <summary>Finds the value of exactly this prefix.</summary>
    public bool TryGet(IpPrefix prefix, [MaybeNullWhen(false)] out T value)
    {
        Node? node = Root(prefix);
        while (node is not null && node.Length < prefix.Length && node.Contains(prefix.Network.Bits))
            node = node.Child(prefix.Network.Bits);
        bool found = node is { HasValue: true } && node.Length == prefix.Length && node.Bits == prefix.Network.Bits;
        value = found ? node!.Value : default;
        return found;
    }

    /// <summary>The table with this prefix leading to the value, in place of what it led to before.</summary>
    public PrefixTable<T> With(IpPrefix prefix, T value)
    {
        int added = TryGet(prefix, out _) ? 0 : 1;
        return Replace(prefix, Insert(Root(prefix), prefix.Network.Bits, prefix.Length, value), Count + added);
    }

    /// <summary>The table without this very prefix; shorter and longer ones stay.</summary>
    public PrefixTable<T> Without(IpPrefix prefix) =>
        TryGet(prefix, out _) ? Replace(prefix, Remove(Root(prefix)!, prefix.Network.Bits, prefix.Length), Count - 1) : this;

    /// <summary>IPv4 first, by network, the shorter of two prefixes of one network first.</summary>
    public IEnumerator<KeyValuePair<IpPrefix, T>> GetEnumerator()
    {
        var stack = new Stack<(Node Node, bool IsIPv4)>();
        if (_rootV6 is not null)
            stack.Push((_rootV6, false));
        if (_rootV4 is not null)
            stack.Push((_rootV4, true));
        while (stack.TryPop(out (Node Node, bool IsIPv4) top))
        {
            (Node node, bool isIPv4) = top;
            if (node.One is not null)
                stack.Push((node.One, isIPv4));
            if (node.Zero is not null)
                stack.Push((node.Zero, isIPv4));
            if (node.HasValue)
                yield return new(new IpPrefix(TunnelAddress.FromBits(node.Bits, isIPv4), node.Length), node.Value!);
        }
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    private Node? Root(IpPrefix prefix) => prefix.Network.IsIPv4 ? _rootV4 : _rootV6;

    private PrefixTable<T> Replace(IpPrefix prefix, Node? root, int count) =>
        prefix.Network.IsIPv4 ? new(root, _rootV6, count) : new(_rootV4, root, count);

    private static Node Insert(Node? node, UInt128 bits, int length, T value)
    {
        if (node is null)
            return new Node(bits, length, value);
        int common = Math.Min(Math.Min(node.Length, length), CommonBits(node.Bits, bits));
        if (common == node.Length)
        {
            if (common == length)
                return new Node(node, value);
            return BitAt(bits, common) == 0
                ? new Node(node, Insert(node.Zero, bits, length, value), node.One)
                : new Node(node, node.Zero, Insert(node.One, bits, length, value));
        }

        if (common == length)
            return BitAt(node.Bits, common) == 0 ? new Node(bits, length, value, node, null) : new Node(bits, length, value, null, node);

        var leaf = new Node(bits, length, value);
        UInt128 shared = bits & IpPrefix.MaskOf(common);
        return BitAt(bits, common) == 0 ? new Node(shared, common, leaf, node) : new Node(shared, common, node, leaf);
    }

    // Only called for a prefix that is there.
    private static Node? Remove(Node node, UInt128 bits, int length)
    {
        if (node.Length == length)
            return node.Zero is not null && node.One is not null ? new Node(node.Bits, length, node.Zero, node.One) : node.Zero ?? node.One;
        bool isZero = BitAt(bits, node.Length) == 0;
        Node? changed = Remove(isZero ? node.Zero! : node.One!, bits, length);
        Node? zero = isZero ? changed : node.Zero;
        Node? one = isZero ? node.One : changed;
        // A branch that is left with one child and no value of its own says nothing.
        return !node.HasValue && (zero is null || one is null) ? zero ?? one : new Node(node, zero, one);
    }

    private static int CommonBits(UInt128 left, UInt128 right) => (int)UInt128.LeadingZeroCount(left ^ right);

    private static int BitAt(UInt128 bits, int index) => (int)((bits >> (127 - index)) & 1);

    private sealed class Node
    {
        public readonly ulong High;
        public readonly ulong Low;
        public readonly ulong HighMask;
        public readonly ulong LowMask;
        public readonly Node? Zero;
        public readonly Node? One;
        public readonly int Length;
        public readonly bool HasValue;
        public readonly T? Value;

        public Node(UInt128 bits, int length, T value, Node? zero = null, Node? one = null)
            : this(bits, length, zero, one)
        {
            HasValue = true;
            Value = value;
        }

        public Node(UInt128 bits, int length, Node? zero, Node? one)
        {
            UInt128 mask = IpPrefix.MaskOf(length);
            High = (ulong)(bits >> 64);
            Low = (ulong)bits;
            HighMask = (ulong)(mask >> 64);
            LowMask = (ulong)mask;
            Length = length;
            Zero = zero;
            One = one;
        }

        public Node(Node other, Node? zero, Node? one)
            : this(other.Bits, other.Length, zero, one)
        {
            HasValue = other.HasValue;
            Value = other.Value;
        }

        public Node(Node other, T value)
            : this(other.Bits, other.Length, value, other.Zero, other.One)
        {
        }

        public UInt128 Bits => new(High, Low);

        public bool Contains(UInt128 bits) => (bits & IpPrefix.MaskOf(Length)) == Bits;

        public Node? Child(UInt128 bits) => BitAt(bits, Length) == 0 ? Zero : One;
    }
}
