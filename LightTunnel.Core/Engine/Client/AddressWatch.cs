using LightTunnel.Engine.Control;
using LightTunnel.Timing;
using LightTunnel.Traversal;

namespace LightTunnel.Engine.Client;

/// <summary>
/// Follows the machine's own addresses: the system tells of a change, and does not tell of everything, such as a cable that was pulled out,
/// so they are also read now and then. Read beside the control loop, which owns the rest.
/// </summary>
internal sealed class AddressWatch : IDisposable
{
    /// <summary>How often the addresses are read while there is no server.</summary>
    private static readonly TimeSpan ReadingInterval = TimeSpan.FromSeconds(5);

    private readonly Node _node;
    private readonly ILocalAddressSource _source;
    private readonly Action<bool> _changed;
    private readonly IDisposable _watch;
    private int _readings;
    private int _taken;

    /// <param name="node">The node.</param>
    /// <param name="source">Where the addresses are read; what it holds is taken at once.</param>
    /// <param name="changed">
    /// Called on the control loop when this machine may be in another network; true when it certainly needs everything to be tried anew.
    /// </param>
    public AddressWatch(Node node, ILocalAddressSource source, Action<bool> changed)
    {
        (_node, _source, _changed) = (node, source, changed);
        node.TakeOwnAddresses(source.Read());
        _watch = source.Watch(() =>
        {
            AddressReading reading = Read();
            node.Post(() =>
            {
                Take(reading);
                changed(false);
            });
        });
    }

    /// <summary>When to look again while there is no server.</summary>
    public Timestamp NextLook { get; private set; }

    /// <summary>Reads the addresses, and tells when they are others.</summary>
    public void Look(Timestamp now)
    {
        NextLook = now + ReadingInterval;
        _node.Ask(Read, reading =>
        {
            if (Take(reading))
                _changed(false);
        });
    }

    /// <summary>Reads the addresses, and tells in any case: the machine slept, or its clock was set.</summary>
    public void LookAnew() => _node.Ask(Read, reading =>
    {
        Take(reading);
        _changed(true);
    });

    /// <inheritdoc/>
    public void Dispose() => _watch.Dispose();

    /// <summary>Any thread but the control loop's.</summary>
    private AddressReading Read()
    {
        int number = Interlocked.Increment(ref _readings);
        return new AddressReading(number, _source.Read());
    }

    /// <summary>Takes what was read, unless something newer was taken; true when the addresses are others now.</summary>
    private bool Take(AddressReading reading)
    {
        if (reading.Number < _taken)
            return false;
        _taken = reading.Number;
        bool isNew = !reading.Addresses.SequenceEqual(_node.OwnAddresses);
        _node.TakeOwnAddresses(reading.Addresses);
        return isNew;
    }

    /// <summary>The machine's own addresses, as they were read.</summary>
    private readonly record struct AddressReading(int Number, IReadOnlyList<LocalAddressInfo> Addresses);
}
