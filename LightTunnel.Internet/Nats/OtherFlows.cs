using LightTunnel.Addressing;

namespace LightTunnel.Internet.Nats;

/// <summary>
/// Flows that other machines behind a NAT begin meanwhile, each of which takes a port: some at random moments, some in bursts.
/// </summary>
internal sealed class OtherFlows
{
    private static readonly TimeSpan BurstInterval = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan BurstPace = TimeSpan.FromMilliseconds(1);

    /// <summary>
    /// The machine that begins them, 192.168.1.250, and whom it talks to, 203.0.113.128 and up: addresses that no host of ours has.
    /// </summary>
    private const uint Machine = 0xC0A801FA;
    private const uint FirstRemote = 0xCB007180;

    private readonly NatSettings _settings;
    private readonly Random _random;
    private TimeSpan _nextSingle = TimeSpan.MaxValue;
    private TimeSpan _nextOfBurst = TimeSpan.MaxValue;
    private int _leftOfBurst;
    private ushort _port;
    private bool _hasBegun;

    private OtherFlows(NatSettings settings, Random random)
    {
        _settings = settings;
        _random = random;
    }

    /// <summary>The others behind a NAT that is set so; null when there are none.</summary>
    public static OtherFlows? Of(NatSettings settings, int seed) =>
        settings.OtherFlows > 0 || settings.OtherBurst > 0 ? new OtherFlows(settings, new Random(seed)) : null;

    /// <summary>The next flow that began by now, in the order of time; the first call begins.</summary>
    /// <param name="now">The time.</param>
    /// <param name="at">When it began.</param>
    /// <param name="inside">From which inside endpoint.</param>
    /// <param name="remote">To which remote one.</param>
    public bool TryTake(TimeSpan now, out TimeSpan at, out UdpEndpoint inside, out UdpEndpoint remote)
    {
        if (!_hasBegun)
            Begin(now);
        bool isSingle = _nextSingle < _nextOfBurst;
        at = isSingle ? _nextSingle : _nextOfBurst;
        inside = remote = default;
        if (at > now)
            return false;
        if (isSingle)
            _nextSingle += Pause();
        else
            AdvanceBurst();
        inside = UdpEndpoint.FromIPv4(Machine, ++_port);
        remote = UdpEndpoint.FromIPv4(FirstRemote + (uint)_random.Next(64), 443);
        return true;
    }

    private void Begin(TimeSpan now)
    {
        _hasBegun = true;
        if (_settings.OtherFlows > 0)
            _nextSingle = now + Pause();
        if (_settings.OtherBurst > 0)
            _nextOfBurst = now + (BurstInterval * _random.NextDouble());
        _leftOfBurst = _settings.OtherBurst;
    }

    private void AdvanceBurst()
    {
        bool isOver = --_leftOfBurst == 0;
        _nextOfBurst += isOver ? BurstInterval : BurstPace;
        if (isOver)
            _leftOfBurst = _settings.OtherBurst;
    }

    private TimeSpan Pause() => TimeSpan.FromSeconds(-Math.Log(1 - _random.NextDouble()) / _settings.OtherFlows);
}
